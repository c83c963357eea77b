"""Tasks: what a batch, a loss and a score are for recognition, detection and direction.

A task is a module `training.tasks.<name>` with two things:

* `Settings`: a frozen dataclass, the type of `Config.data`;
* `build(config) -> Task`: the system and its data.

One loop (`training.tasks.loop`) trains them all.
"""
