"""physics.py, and that PyBullet obeys it: mass, friction, weak motors, delay, another robot."""

import math
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from builders import make_spec
from episodes import still_balance

from sac_ros.errors import UserError
from sac_ros.spec import TaskSpec
from sim_training.bullet_robot import BulletRobot
from sim_training.env import SimEnv, make_env
from sim_training.physics import NOMINAL, Physics
from sim_training.tasks import FOLDER, balance, reach

GRAVITY = 9.81
LONG = Physics(urdf='cartpole_long.urdf')

# One joint along x, 1 kg, with a motor of 2 N.
SLIDER = """<robot name="slider">
  <link name="rail"/>
  <link name="box"><inertial><mass value="1"/>
    <inertia ixx="1" ixy="0" ixz="0" iyy="1" iyz="0" izz="1"/></inertial></link>
  <joint name="slide" type="prismatic"><parent link="rail"/><child link="box"/>
    <axis xyz="1 0 0"/><limit effort="2" lower="-9" upper="9" velocity="9"/></joint>
</robot>"""


@pytest.fixture
def slider(tmp_path: Path) -> str:
    (tmp_path / 'slider.urdf').write_text(SLIDER)
    return str(tmp_path / 'slider.urdf')


def slider_spec(interface: str) -> TaskSpec:
    return make_spec(
        joints=['slide'],
        observation=[{'term': 'joint_position'}],
        interface=interface,
        stop=[0.0],
        limits={},
    )


def speed(robot: BulletRobot, start: float, command: float, periods: int) -> float:
    """Return the slider's speed [m/s] after some periods of 20 ms under a command."""
    robot.reset(np.zeros(1), np.array([start]))
    for _ in range(periods):
        robot.apply(np.array([command]))
        robot.advance()
    (velocity,) = robot.read_joints()[1]
    robot.close()
    return float(velocity)


def cart_pole(force: float, angle: float, pole: float, half: float, inertia: float) -> np.ndarray:
    """Solve the equations of motion at rest for cart (1 kg) [m/s^2] and pole [rad/s^2].

    (M + m) x'' + m l cos(a) a'' = F  and  m l cos(a) x'' + (I + m l^2) a'' = m g l sin(a)
    """
    coupling = pole * half * math.cos(angle)
    mass = [[1.0 + pole, coupling], [coupling, inertia + pole * half**2]]
    return np.linalg.solve(mass, [force, pole * GRAVITY * half * math.sin(angle)])


def accelerations(physics: Physics, force: float, angle: float) -> np.ndarray:
    """Return what PyBullet makes of the same in one period of 20 ms."""
    robot = BulletRobot('cartpole.urdf', balance.SPEC, 4, None, physics)
    robot.reset(np.array([0.0, angle]), np.zeros(2))
    robot.apply(np.array([force]))
    robot.advance()
    velocity = robot.read_joints()[1]
    robot.close()
    return velocity / 0.02


@pytest.mark.parametrize(('force', 'angle'), [(10.0, 0.0), (0.0, 0.1), (3.0, -0.2)])
def test_a_payload_is_a_point_of_mass_at_the_middle_of_the_last_link(force: float, angle: float):
    inertia = 0.1 / 12.0 * (1.0**2 + 0.05**2)  # [kg m^2]: that of the pole alone
    np.testing.assert_allclose(
        accelerations(Physics(payload=0.4), force, angle),
        cart_pole(force, angle, 0.1 + 0.4, 0.5, inertia),
        rtol=0.02,
        atol=0.05,
    )


def test_a_payload_hangs_at_the_tool_of_an_arm_and_its_motors_feel_the_weight():
    stretched = np.array([0.0, 1.2, 0.0, -0.5, 0.0, 1.6, 0.0])  # far in front of the shoulder
    torques = []
    for payload in (0.0, 2.0):
        robot = BulletRobot(
            reach.TASK.urdf, reach.SPEC, 1, reach.TASK.tool_link, Physics(payload=payload)
        )
        robot.reset(stretched, np.zeros(7))
        position = robot.read_tool_position()
        for _ in range(20):  # the motors hold the arm
            robot.apply(np.zeros(7))
            robot.advance()
        torques.append(robot._client.getJointState(robot._body, robot._joints[1])[3])
        robot.close()
    assert position is not None
    # m g x, because the shoulder is above the origin: some 15 N m
    expected = 2.0 * GRAVITY * position[0]
    assert abs(torques[1] - torques[0]) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize('substeps', [1, 4])
def test_a_joint_without_power_slows_down_by_its_friction(slider: str, substeps: int):
    free, braked = (
        speed(
            BulletRobot(slider, slider_spec('effort'), substeps, None, physics),
            start=1.0,
            command=0.0,
            periods=10,
        )
        for physics in (NOMINAL, Physics(friction=0.5))
    )
    assert free == pytest.approx(1.0, abs=0.02)  # PyBullet's air
    assert free - braked == pytest.approx(0.1, abs=0.002)  # 0.5 N / 1 kg * 0.2 s


@pytest.mark.parametrize(('force', 'expected'), [(0.4, 0.0), (-0.4, 0.0), (1.0, 0.1)])
def test_friction_holds_a_joint_until_the_force_is_larger(
    slider: str, force: float, expected: float
):
    robot = BulletRobot(slider, slider_spec('effort'), 4, None, Physics(friction=0.5))
    # (1.0 N - 0.5 N) / 1 kg * 0.2 s = 0.1 m/s
    assert speed(robot, start=0.0, command=force, periods=10) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize('interface', ['velocity', 'position'])
def test_a_motor_has_so_much_less_as_friction_takes(slider: str, interface: str):
    robot = BulletRobot(slider, slider_spec(interface), 4, None, Physics(friction=0.5))
    # (2 N - 0.5 N) / 1 kg * 0.02 s = 0.03 m/s, although 9 m/s or 9 m away are asked for
    assert speed(robot, start=0.0, command=9.0, periods=1) == pytest.approx(0.03, rel=0.01)


def test_a_friction_that_a_motor_cannot_overcome_is_refused(slider: str):
    with pytest.raises(UserError) as caught:
        BulletRobot(slider, slider_spec('velocity'), 4, None, Physics(friction=2.0))
    assert str(caught.value) == (
        'physics.friction is 2, which the motor of slide cannot overcome; less than its 2 '
        '[N m or N] is needed'
    )


def test_a_weak_motor_answers_its_share_of_a_force():
    weak = Physics(motor={'slider_to_cart': 0.6})
    np.testing.assert_array_equal(accelerations(weak, 10.0, 0.1), accelerations(NOMINAL, 6.0, 0.1))


def test_a_weak_motor_answers_its_share_of_a_velocity_and_the_others_all():
    physics = Physics(motor={'panda_joint4': 0.5, 'panda_joint7': 0.0})
    robot = BulletRobot(reach.TASK.urdf, reach.SPEC, 5, None, physics)
    robot.reset(reach.READY, np.zeros(7))
    robot.apply(np.full(7, 0.2))
    robot.advance()
    np.testing.assert_allclose(
        robot.read_joints()[1], [0.2, 0.2, 0.2, 0.1, 0.2, 0.2, 0.0], atol=0.002
    )
    robot.close()


def test_a_share_of_a_position_is_refused(slider: str):
    with pytest.raises(UserError) as caught:
        BulletRobot(slider, slider_spec('position'), 4, None, Physics(motor={'slide': 0.6}))
    assert str(caught.value) == (
        'physics.motor is slide=0.6, but a share of a position would be another place; the '
        'interfaces velocity and effort can have one'
    )


@pytest.mark.parametrize(
    ('joint', 'hint'),
    [('slider_to_car', "; did you mean 'slider_to_cart'?"), ('cart_to_pole', '')],
)
def test_a_joint_without_a_motor_is_named_with_those_that_have_one(joint: str, hint: str):
    with pytest.raises(UserError) as caught:
        make_env('balance', physics=Physics(motor={joint: 0.6}))
    text = f"physics.motor: '{joint}' is not driven{hint}; driven: slider_to_cart"
    assert str(caught.value) == text


def test_a_delay_comes_on_top_of_that_of_the_task():
    env = SimEnv(still_balance(delay=(1, 1)), physics=Physics(delay=0.04))  # 1 + 2 periods
    env.reset(seed=0)
    speeds = []
    for _ in range(4):
        env.step(np.array([10.0]))
        assert env.state.joint_velocity is not None
        speeds.append(env.state.joint_velocity[0])
    env.close()
    assert speeds[:3] == [0.0] * 3
    assert speeds[3] == pytest.approx(0.195, rel=0.01)  # 10 N on the cart-pole for 20 ms


def test_a_delay_is_whole_periods():
    assert Physics(delay=0.06).delay_in_periods(0.02) == 3
    assert Physics(delay=0.3).delay_in_periods(0.1) == 3  # 0.3 / 0.1 is not quite 3
    with pytest.raises(UserError) as caught:
        make_env('reach', physics=Physics(delay=0.05))
    assert str(caught.value) == (
        'physics.delay is 0.05 s, which is 2.5 control periods; whole periods are needed, such '
        'as 0.04 s'
    )


@pytest.mark.parametrize(('force', 'angle'), [(10.0, 0.0), (0.0, 0.1), (3.0, -0.2)])
def test_the_long_pole_moves_by_newton(force: float, angle: float):
    inertia = 0.2 / 12.0 * (2.0**2 + 0.05**2)  # [kg m^2] about its middle, 1 m up
    np.testing.assert_allclose(
        accelerations(LONG, force, angle),
        cart_pole(force, angle, 0.2, 1.0, inertia),
        rtol=0.01,
        atol=0.05,
    )


def test_the_inertias_in_the_file_of_the_long_pole_are_those_of_its_boxes():
    bodies = 0
    for link in ElementTree.parse(FOLDER / LONG.urdf).iter('link'):
        box, mass = link.find('collision/geometry/box'), link.find('inertial/mass')
        inertia = link.find('inertial/inertia')
        if box is None or mass is None or inertia is None:
            continue
        x, y, z = (float(word) ** 2 for word in box.attrib['size'].split())
        share = float(mass.attrib['value']) / 12.0
        for axis, squares in (('ixx', y + z), ('iyy', x + z), ('izz', x + y)):
            assert float(inertia.attrib[axis]) == pytest.approx(share * squares, abs=1e-7)
        bodies += 1
    assert bodies == 2


@pytest.mark.parametrize(
    ('values', 'text'),
    [
        ({'payload': -1.0}, 'physics.payload is -1.0; 0 to 100 [kg] is needed'),
        ({'payload': math.nan}, 'physics.payload is nan; 0 to 100 [kg] is needed'),
        ({'friction': math.inf}, 'physics.friction is inf; 0 to 1000 [N m or N] is needed'),
        ({'delay': 1.02}, 'physics.delay is 1.02; 0 to 1 [s] is needed'),
        ({'motor': {'wheel': 1.1}}, "physics.motor of 'wheel' is 1.1; 0 to 1 is needed"),
        ({'motor': {'wheel': math.nan}}, "physics.motor of 'wheel' is nan; 0 to 1 is needed"),
    ],
)
def test_numbers_out_of_range_are_refused(values: dict[str, object], text: str):
    with pytest.raises(UserError) as caught:
        Physics(**values)
    assert str(caught.value) == text


def test_what_differs_is_told_as_data_and_in_words():
    physics = Physics(2.0, 0.5, {'panda_joint4': 0.6, 'panda_joint1': 0.25}, 0.06, 'other.urdf')
    assert str(physics) == (
        'payload 2 kg, friction 0.5 N m or N, motor panda_joint4=0.6, panda_joint1=0.25, '
        'delay 0.06 s, URDF other.urdf'
    )
    assert Physics(delay=0.02).differences() == {'delay': 0.02}
    assert Physics(**physics.differences()) == physics
    assert (str(NOMINAL), NOMINAL.differences()) == ('as the task describes it', {})


def test_the_physics_of_a_gymnasium_env_cannot_be_changed():
    with pytest.raises(UserError) as caught:
        make_env('Pendulum-v1', physics=Physics(payload=1.0))
    assert str(caught.value) == (
        "the physics of 'Pendulum-v1' cannot be changed (payload 1 kg): it is no task; tasks: "
        'balance, reach, or the path of a YAML file'
    )
