"""bullet_robot.py: the simulated robot obeys Newton, its URDF and the contract."""

import math
from pathlib import Path

import numpy as np
import pytest
from builders import make_spec

from sac_ros.errors import UserError
from sac_ros.spec import TaskSpec
from sim_training.bullet_robot import BulletRobot
from sim_training.tasks import balance, reach
from sim_training.tasks.task import Camera

READY = reach.READY
CART, POLE = 1.0, 0.1  # [kg], as in cartpole.urdf
HALF, INERTIA = 0.5, 0.1 / 12.0 * (1.0**2 + 0.05**2)  # [m], [kg m^2] about the pole's middle
GRAVITY = 9.81

# One prismatic joint of 1 kg along x, with a motor of 2 N and an end stop.  The tip's mass is not
# where its frame is, so that the two cannot be mistaken for each other.
SLIDER = """<robot name="slider">
  <link name="rail"/>
  <link name="box"><inertial><mass value="1"/>
    <inertia ixx="1" ixy="0" ixz="0" iyy="1" iyz="0" izz="1"/></inertial></link>
  <link name="tip"><inertial><origin xyz="0 0 0.3"/><mass value="0.001"/>
    <inertia ixx="1" ixy="0" ixz="0" iyy="1" iyz="0" izz="1"/></inertial></link>
  <joint name="slide" type="prismatic"><parent link="rail"/><child link="box"/>
    <axis xyz="1 0 0"/><limit effort="2" lower="-0.5" upper="0.5" velocity="9"/></joint>
  <joint name="fixed" type="fixed"><parent link="box"/><child link="tip"/>
    <origin xyz="0 0 0.25"/></joint>
</robot>"""


@pytest.fixture
def slider(tmp_path: Path) -> str:
    (tmp_path / 'slider.urdf').write_text(SLIDER)
    return str(tmp_path / 'slider.urdf')


def _slider_spec(interface: str) -> TaskSpec:
    return make_spec(
        joints=['slide'],
        observation=[{'term': 'joint_position'}],
        interface=interface,
        stop=[0.0],
        limits={},
    )


def _accelerations(force: float, angle: float) -> np.ndarray:
    """Solve the cart-pole's equations of motion at rest for cart [m/s^2] and pole [rad/s^2].

    (M + m) x'' + m l cos(a) a'' = F  and  m l cos(a) x'' + (I + m l^2) a'' = m g l sin(a)
    """
    coupling = POLE * HALF * math.cos(angle)
    mass = [[CART + POLE, coupling], [coupling, INERTIA + POLE * HALF**2]]
    return np.linalg.solve(mass, [force, POLE * GRAVITY * HALF * math.sin(angle)])


@pytest.mark.parametrize('substeps', [1, 4, 10])
@pytest.mark.parametrize(('force', 'angle'), [(10.0, 0.0), (-4.0, 0.0), (0.0, 0.1), (3.0, -0.2)])
def test_a_force_acts_for_the_whole_period_and_by_newton(
    force: float, angle: float, substeps: int
) -> None:
    robot = BulletRobot('cartpole.urdf', balance.SPEC, substeps, None)
    robot.reset(np.array([0.0, angle]), np.zeros(2))

    robot.apply(np.array([force]))
    robot.advance()

    velocity = robot.read_joints()[1]
    expected = _accelerations(force, angle) * 0.02  # v = a * 20 ms
    np.testing.assert_allclose(velocity, expected, rtol=0.01, atol=1e-3)
    robot.close()


def test_a_force_ends_with_its_period() -> None:
    robot = BulletRobot('cartpole.urdf', balance.SPEC, 4, None)
    robot.reset(np.zeros(2), np.zeros(2))
    robot.apply(np.array([10.0]))
    robot.advance()
    velocity = robot.read_joints()[1][0]

    robot.apply(np.array([0.0]))
    robot.advance()

    assert robot.read_joints()[1][0] == pytest.approx(velocity, rel=0.01)
    robot.close()


def test_a_velocity_is_reached_within_one_period_where_the_motor_is_strong() -> None:
    robot = BulletRobot(reach.TASK.urdf, reach.SPEC, reach.TASK.substeps, None)
    robot.reset(READY, np.zeros(7))
    for speed in (0.1, 0.2, 0.3):
        robot.apply(np.linspace(-speed, speed, 7))
        robot.advance()
        velocity = robot.read_joints()[1]
        np.testing.assert_allclose(velocity, np.linspace(-speed, speed, 7), atol=0.002)
    robot.close()


@pytest.mark.parametrize('substeps', [1, 4, 10])
@pytest.mark.parametrize('interface', ['velocity', 'position'])
def test_a_motor_is_no_stronger_than_the_urdf_says(
    slider: str, interface: str, substeps: int
) -> None:
    robot = BulletRobot(slider, _slider_spec(interface), substeps, None)
    robot.reset(np.zeros(1), np.zeros(1))
    robot.apply(np.array([9.0]))
    robot.advance()

    # 2 N / 1 kg * 0.02 s = 0.04 m/s, although 9 m/s or 9 m away are asked for
    np.testing.assert_allclose(robot.read_joints()[1], [0.04], rtol=0.01)
    robot.close()


def test_a_position_is_reached_and_kept() -> None:
    names = [f'panda_joint{i}' for i in range(1, 8)]
    spec = make_spec(
        joints=names,
        observation=[{'term': 'joint_position'}],
        interface='position',
        stop='hold',
        lower=-3.0,
        upper=3.0,
        limits={},
    )
    robot = BulletRobot('franka_panda/panda.urdf', spec, 5, None)
    robot.reset(READY, np.zeros(7))
    for _ in range(50):
        robot.apply(READY + 0.2)
        robot.advance()

    np.testing.assert_allclose(robot.read_joints()[0], READY + 0.2, atol=0.001)
    robot.close()


def test_a_joint_stops_at_the_end_that_the_urdf_gives(slider: str) -> None:
    robot = BulletRobot(slider, _slider_spec('effort'), 4, None)
    assert robot.joint_lower.tolist() == [-0.5]
    assert robot.joint_upper.tolist() == [0.5]
    robot.reset(np.zeros(1), np.zeros(1))
    for _ in range(150):
        robot.apply(np.array([1.0]))
        robot.advance()

    assert robot.read_joints()[0][0] == pytest.approx(0.5, abs=0.005)
    robot.close()


def test_joints_are_read_and_reset_in_the_order_of_the_contract() -> None:
    values = np.array([0.5, 0.1])
    for names in (['slider_to_cart', 'cart_to_pole'], ['cart_to_pole', 'slider_to_cart']):
        spec = make_spec(joints=names, interface='effort', limits={})
        robot = BulletRobot('cartpole.urdf', spec, 1, None)
        robot.reset(values, -values)

        position, velocity = robot.read_joints()

        np.testing.assert_array_equal(position, values)
        np.testing.assert_array_equal(velocity, -values)
        assert position.dtype == np.float64
        robot.close()


def test_commands_go_to_the_driven_joints_in_their_order() -> None:
    spec = make_spec(
        joints=['cart_to_pole', 'slider_to_cart'],
        action_joints=['slider_to_cart'],
        interface='effort',
        limits={},
    )
    robot = BulletRobot('cartpole.urdf', spec, 4, None)
    robot.reset(np.zeros(2), np.zeros(2))
    robot.apply(np.array([1.0]))
    robot.advance()

    cart, pole = _accelerations(1.0, 0.0) * 0.02
    np.testing.assert_allclose(robot.read_joints()[1], [pole, cart], rtol=0.01)
    robot.close()


def _tool(robot: BulletRobot) -> np.ndarray:
    position = robot.read_tool_position()
    assert position is not None
    return position


def test_the_tool_is_where_the_arm_of_the_data_sheet_has_it() -> None:
    robot = BulletRobot(reach.TASK.urdf, reach.SPEC, 5, 'panda_grasptarget')
    robot.reset(np.zeros(7), np.zeros(7))
    # stretched out: flange at 0.333 + 0.316 + 0.384 - 0.107 = 0.926 m, the fingers 0.105 m lower
    np.testing.assert_allclose(_tool(robot), [0.088, 0.0, 0.821], atol=1e-4)

    robot.reset(np.array([np.pi / 2, 0, 0, 0, 0, 0, 0]), np.zeros(7))  # a quarter turn to the left
    np.testing.assert_allclose(_tool(robot), [0.0, 0.088, 0.821], atol=1e-4)
    robot.close()


def test_the_tool_follows_while_the_robot_moves(slider: str) -> None:
    robot = BulletRobot(slider, _slider_spec('velocity'), 4, 'tip')
    robot.reset(np.array([0.1]), np.zeros(1))
    for _ in range(20):
        robot.apply(np.array([0.5]))
        robot.advance()
        expected = [robot.read_joints()[0][0], 0.0, 0.25]
        np.testing.assert_allclose(_tool(robot), expected, atol=1e-6)
    robot.close()


def test_a_robot_without_a_tool_has_no_tool_position() -> None:
    robot = BulletRobot('cartpole.urdf', balance.SPEC, 1, None)

    assert robot.read_tool_position() is None
    robot.close()


def test_two_robots_do_not_feel_each_other() -> None:
    first, second = (BulletRobot('cartpole.urdf', balance.SPEC, 4, None) for _ in range(2))
    for robot in (first, second):
        robot.reset(np.zeros(2), np.zeros(2))
    first.apply(np.array([10.0]))
    first.advance()
    second.close()

    np.testing.assert_allclose(first.read_joints()[1], _accelerations(10.0, 0.0) * 0.02, rtol=0.01)
    first.close()


def test_a_picture_shows_the_robot_its_pose_and_the_goal() -> None:
    robot = BulletRobot(reach.TASK.urdf, reach.SPEC, 5, None)
    camera = reach.TASK.camera
    robot.reset(READY, np.zeros(7))

    picture = robot.render(camera, None, width=64, height=48)
    assert picture.shape == (48, 64, 3)
    assert picture.dtype == np.uint8
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20  # colours
    empty = robot.render(Camera((50.0, 50.0, 50.0), 1.0, 0.0, 0.0), None, width=64, height=48)
    assert len(np.unique(empty.reshape(-1, 3), axis=0)) == 1  # looking away shows nothing

    with_goal = robot.render(camera, np.array([0.3, 0.0, 0.35]), width=64, height=48)
    green = (with_goal[..., 1] > 1.5 * with_goal[..., 0]) & (with_goal[..., 1] > 60)
    assert green.any()
    robot.reset(READY + 0.3, np.zeros(7))
    assert not np.array_equal(robot.render(camera, None, width=64, height=48), with_goal)
    robot.close()


def test_a_joint_or_link_that_the_urdf_does_not_have_is_named_with_the_nearest() -> None:
    with pytest.raises(UserError) as caught:
        BulletRobot('cartpole.urdf', make_spec(joints=['cart_to_pole', 'slider']), 1, None)
    assert str(caught.value) == (
        "'slider' is not in cartpole.urdf; did you mean 'slider_to_cart'?; "
        'it has: slider_to_cart, cart_to_pole'
    )
    with pytest.raises(UserError) as caught:
        BulletRobot('cartpole.urdf', balance.SPEC, 1, 'pool')
    assert str(caught.value) == (
        "'pool' is not in cartpole.urdf; did you mean 'pole'?; it has: cart, pole"
    )


def test_an_interface_without_motors_is_refused() -> None:
    spec = make_spec(interface='twist', axes=['linear.x'])

    with pytest.raises(UserError) as caught:
        BulletRobot('cartpole.urdf', spec, 1, None)
    assert str(caught.value) == (
        "interface 'twist' has no motors in PyBullet; position, velocity, effort have"
    )


def test_a_urdf_that_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        BulletRobot('none.urdf', balance.SPEC, 1, None)
    assert str(caught.value) == (
        'URDF none.urdf is neither a file nor part of sim_training/tasks or pybullet_data'
    )

    (tmp_path / 'broken.urdf').write_text('<robot name="x"><link')
    with pytest.raises(UserError) as caught:
        BulletRobot(f'{tmp_path}/broken.urdf', balance.SPEC, 1, None)
    assert str(caught.value) == (
        f'URDF {tmp_path}/broken.urdf cannot be loaded (Cannot load URDF file.)'
    )


def test_closing_twice_is_no_error() -> None:
    robot = BulletRobot('cartpole.urdf', balance.SPEC, 1, None)

    robot.close()
    robot.close()
