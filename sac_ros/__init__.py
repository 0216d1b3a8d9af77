"""The robot side: a policy file in, bounded commands out.

    RobotState --observe()--> observation --policy--> action --ActionMap--> command

spec, spec_rules, strict_yaml    the contract of a task (TaskSpec), read and checked
state, terms, observation        what is measured, and how it becomes the observation
policy                           OnnxPolicy: the model file and the contract inside it
model_file, _content, _graph,    what a model file may hold, checked before it is run
  _operators, _metadata, onnx_fields
model_contract                   what it says, for whoever does not run it
model_check, _trial, _gate       the same in a child process; may it replace the running one?
action                           ActionMap: rate limit, bounds, stop command
fault, guard, changes,           PolicyController.step(): one control tick, checked and safe
  controller, control_step
takeover, exploration_noise      a person's action in place of the policy's; noise on the policy's
timing, fault_log, realtime      when a period begins; faults counted and told
preflight, ros_graph             what must be true before a robot moves
messages, *_messages, *_message  state, commands and reports <-> ROS messages
measurements                     the newest message of each source, and how old it is
control_loop, loop_topics,       the tick on its topics, in threads of its own
  own_thread, endless_thread, serving_thread, pace_clock
lifecycle_node, parameters,      the ROS node around it: operators, new models, diagnostics
  operators, lookout, model_swap, reports
candidates, candidate_gate       models that a learner offers, up to their trial
succession, ladder, trial,       which of them acts, judged by its returns
  episode_return
decisions, decision_log,         what is told and kept of that
  accepted_model
policy_node                      the executable
show                             the contract of a model as a table
errors, files, output            one-line errors; files written whole; logs that never wait

Needs numpy, pydantic, PyYAML, protobuf and onnxruntime; only message and node files import rclpy.
Never imports sim_training, torch, gymnasium or pybullet.  Simulation and training import from
here, so both worlds run the same code.
"""
