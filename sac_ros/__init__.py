"""The robot side: a policy file in, bounded commands out.

    RobotState --observe()--> observation --policy--> action --ActionMap--> command

spec, spec_rules, strict_yaml   the contract of a task (TaskSpec), read and checked
state, terms, observation       what is measured, and how it becomes the observation vector
policy                          OnnxPolicy: the model file and the contract inside it
action                          ActionMap: rate limit, bounds, stop command
fault, guard, controller        PolicyController.step(): one control tick, checked and safe
messages, policy_node           the same over ROS 2: the only files that import rclpy
show                            the contract of a model as a table
errors, files                   one-line errors; files written whole or not at all

Needs numpy, pydantic, PyYAML and onnxruntime; never imports sim_training, torch, gymnasium or
pybullet.  Simulation and training import from here, so both worlds run the same code.
"""
