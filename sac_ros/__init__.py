"""The robot side: a policy file in, bounded commands out.

    RobotState --observe()--> observation --policy--> action --ActionMap--> command

spec, spec_rules, strict_yaml    the contract of a task (TaskSpec), read and checked
state, terms, observation        what is measured, and how it becomes the observation
policy                           OnnxPolicy: the model file and the contract inside it
action                           ActionMap: rate limit, bounds, stop command
fault, guard, controller         PolicyController.step(): one control tick, checked and safe
timing, fault_log                when a period begins; faults counted and told
messages, *_messages, *_message  state, commands and reports <-> ROS messages
*_node                           the same as ROS nodes; policy_node is the executable
show                             the contract of a model as a table
errors, files                    one-line errors; files written whole or not at all

Needs numpy, pydantic, PyYAML and onnxruntime; only the message and node files import rclpy.
Never imports sim_training, torch, gymnasium or pybullet.  Simulation and training import from
here, so both worlds run the same code.
"""
