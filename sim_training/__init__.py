"""The workstation side: simulate, train, evaluate and export what sac_ros runs on a robot.

tasks/<name>.yaml, <name>.py   a task: its contract; its reset, reward and termination
bullet_robot                   the robot in PyBullet: the only file that imports pybullet
env                            SimEnv: a task as a Gymnasium environment
networks, replay_buffer        actor and critics; what they learn from
sac, sac_config                soft actor-critic and its options
train, checkpoint              the training run, and how it resumes
export, evaluate               run -> model file; score that file
sim_node                       the simulated robot as a ROS 2 node
run, demo                      policy node and simulated robot in one command
cli                            `sac-ros`: one table of commands, each a dataclass and a main()

The core that has no ROS in it (contract, observation, action, controller) lives in sac_ros.
"""
