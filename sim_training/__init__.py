"""The workstation side: simulate, train, evaluate and export what sac_ros runs on a robot.

tasks/<name>.yaml, <name>.py      a task: its contract; its reset, reward and termination
bullet_robot                      the robot in PyBullet: the only file that imports pybullet
env, gymnasium_env, rollout       a task, or any Gymnasium id, as an environment, and played
networks, replay_buffer           actor and critics; what they learn from
sac, adam, sac_config, sac_state  soft actor-critic, its options, all that it remembers
collector, env_process            the envs of a run, here or in processes of their own
ray_collectors, remote_collector  the same on a Ray cluster (ray_cluster joins it)
train, train_command, progress    the training run, what it is asked for, what it tells
run_state, checkpoint, run_file   what is saved, so that a run resumes and can be exported
sweep_*                           `sac-ros sweep`: trials, their study, table and picture
bench_*                           `sac-ros bench`: control, train, env
export, evaluate                  run -> model file; score that file
robot_node, sim_node              the simulated robot as a ROS 2 node, and its executable
run, demo                         policy node and simulated robot in one command
cli, cli_options                  `sac-ros`: a table of commands; words -> a command's dataclass

The core that has no ROS in it (contract, observation, action, controller) lives in sac_ros.
"""
