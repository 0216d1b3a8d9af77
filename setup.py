"""Builds sac_ros for pip (`pip install .`) and for colcon (ament_python)."""

from glob import glob

from setuptools import find_packages, setup

# The robot side: all that a policy needs to run.
CORE = [
    'numpy>=1.22',
    'pydantic>=2.6',
    'PyYAML>=5.4',  # CVE-2020-14343 before; Ubuntu 22.04 ships 5.4.1
    # 1.30 refuses external data outside the model's folder; 1.23.2 is the last for Python 3.10
    # (policy files hold no external data, and the loader hands over bytes, not a path).
    "onnxruntime>=1.30; python_version >= '3.11'",
    "onnxruntime>=1.17; python_version < '3.11'",
    'protobuf>=6.33.5',  # comes with onnxruntime; reads models before it; parser faults before
]

EXTRAS = {
    # The workstation: simulate, train, evaluate, export.
    'train': [
        'torch>=2.10',  # CVE-2025-32434, CVE-2026-24747 before
        'gymnasium>=1.0',
        'pybullet>=3.2.5',
        'mujoco>=3.2,<4',  # of Gymnasium's Hopper-v5 and its like
        'onnx>=1.21',  # CVE-2026-27489, CVE-2026-34445, CVE-2026-34446 before
        'safetensors>=0.5',
        'tyro>=1.0',
        'rich>=13',
        'tensorboard>=2.18',
        'matplotlib>=3.8',
        'imageio>=2.34',
        'imageio-ffmpeg>=0.5',
    ],
    # ROS 2 from wheels, for machines without a ROS installation (x86-64, Python 3.10 to 3.13).
    # On a robot these packages come from its own distribution: see package.xml.
    'ros': [
        'ros-rclpy>=7.1',
        'ros-rmw-fastrtps-cpp',
        'ros-sensor-msgs',
        'ros-std-msgs',
        'ros-geometry-msgs',
        'ros-nav-msgs',
        'ros-trajectory-msgs',
        'ros-diagnostic-msgs',
        'ros-std-srvs',
        'ros-lifecycle-msgs',
        'ros-rosgraph-msgs',
    ],
    # Training on many machines (`sac-ros train --ray`, `sac-ros sweep --ray`).
    'cluster': ['ray>=2.52'],  # CVE-2025-62593 before
    # Search over the options (`sac-ros sweep`).
    'sweep': ['optuna>=5'],  # 4: parallel trials draw alike
    # Checks and measurements.
    'dev': [
        'pytest>=8',
        'pytest-timeout>=2.3',
        'pytest-xdist>=3.6',
        'pytest-cov>=5',
        'coverage>=7.10',  # measures child processes with `patch = subprocess`
        'hypothesis>=6.100',
        'packaging>=24',
        'ruff>=0.9',
        'mypy>=1.15',
        'types-PyYAML',
        'stable-baselines3>=2.4',  # the peer that env checks and benchmarks use
        'pybullet_envs_gymnasium>=0.6',  # the peer of `sac-ros bench env`
        'colcon-common-extensions>=0.3',
        'scipy>=1.11',  # the planner that benchmarks/finetuning.py measures an arm with
        'setuptools>=70.1,<80',  # colcon-core needs < 80; 70.1 builds wheels by itself
    ],
}

setup(
    name='sac_ros',
    version='0.1.0',
    description='Soft actor-critic from simulation to ROS 2 robots, in one ONNX file',
    license='Apache-2.0',
    maintainer='sac_ros maintainers',
    maintainer_email='maintainers@sac-ros.example',
    python_requires='>=3.10',
    packages=find_packages(include=['sac_ros', 'sac_ros.*', 'sim_training', 'sim_training.*']),
    package_data={'sim_training.tasks': ['*.yaml', '*.urdf', '*.json']},
    data_files=[
        ('share/ament_index/resource_index/packages', ['resource/sac_ros']),
        ('share/sac_ros', ['package.xml']),
        ('share/sac_ros/launch', sorted(glob('launch/*.launch.py'))),
        ('share/sac_ros/models', sorted(glob('models/*.onnx') + glob('models/*.md'))),
    ],
    install_requires=CORE,
    extras_require=EXTRAS,
    zip_safe=False,
    entry_points={
        'console_scripts': [
            'sac-ros = sim_training.cli:main',
            'policy_node = sac_ros.policy_node:main',
            'sim_node = sim_training.sim_node:main',
            'learner_node = sim_training.learner_node:main',
            'show = sac_ros.show:run',
        ],
    },
)
