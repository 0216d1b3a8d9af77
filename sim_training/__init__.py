"""The workstation side: simulate, train, evaluate and export what sac_ros runs on a robot.

tasks/<name>.yaml, <name>.py      a task: its contract; its reset, reward and termination
bullet_robot                      the robot in PyBullet: the only file that imports pybullet
env, gymnasium_*, rollout         a task, or any Gymnasium id, as an environment, and played
env_error                         what an env raises, in one line
stack, networks, value_heads      layers, actor and critics, what a critic says of the value
replay_buffer, return_scale       what they learn from, and its scale
sac, draws, adam, compiler,       soft actor-critic, its chance, all that it remembers
  sac_state
sac_config, presets               its options; the published kinds of it
exploration                       noise of actions that goes on from step to step
soft_policy_iteration             the theory, on finite MDPs
collector, env_process            the envs of a run, here or in processes of their own
ray_collectors, remote_collector  the same on a Ray cluster (ray_cluster joins it)
train, train_command, progress    the training run, what it is asked for, what it tells
run_state, checkpoint, run_file,  what is saved, so that a run resumes and can be exported
  array_file
sweep_*                           `sac-ros sweep`: trials, their study, table and picture
bench_*                           `sac-ros bench`: control, train, env
export, evaluate                  run -> model file; score that file
physics, named_numbers            how a simulated robot differs; words name=number
robot_node, sim_node              the simulated robot as a ROS 2 node, and its executable
run, demo                         policy node and simulated robot in one command
experience, journal, transitions  what a robot did: on the disk, then as transitions
fine_tuner, model_actor,          SAC that goes on from a model with them and with prior data
  prior_data, hindsight
learner, learner_*                that as a ROS 2 node, and its executable (learner_node)
finetune, finetune_*              `sac-ros finetune`: all three nodes, on a robot that differs
cli, cli_options                  `sac-ros`: a table of commands; words -> a command's dataclass

The core that has no ROS in it (contract, observation, action, controller) lives in sac_ros.
"""
