"""Trials on the machines of a Ray cluster: there each is a process, as it is here.  Needs ray."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, cast

from sac_ros.errors import UserError
from sim_training.sweep_trial import LocalTraining, Look
from sim_training.train_command import TrainCommand

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.actor import ActorHandle

LOST = -9  # the status of a training whose worker is gone: as if it was killed


@contextlib.contextmanager
def joined_cluster(address: str) -> Iterator[int]:
    """Be in a cluster while the `with` block runs, and give the number of its processors.

    Addresses are those of ray_cluster.join_cluster.  Raises UserError.
    """
    try:
        from sim_training.ray_cluster import join_cluster, leave_cluster, processors
    except ModuleNotFoundError as error:
        if error.name != 'ray':
            raise
        hint = "in sac_ros's folder type: pip install '.[cluster]'"
        raise UserError(f'ray is not installed; {hint}') from error
    join_cluster(address, None)
    try:
        yield max(1, processors())
    finally:
        leave_cluster()


class RayTraining:
    """A training on some machine of the cluster; it begins, or goes on, when this is made."""

    def __init__(self, command: TrainCommand) -> None:
        import ray

        self._ray = ray
        there = replace(command, out=command.folder.absolute())
        actor = ray.remote(num_cpus=command.threads, max_restarts=0)(LocalTraining)
        self._handle = actor.remote(there)
        self._actor = cast(_Worker, self._handle)
        self._answer = self._actor.look.remote()
        self._newest = Look()

    def look(self) -> Look:
        """Return the newest that the worker has told; a worker that is gone has been killed."""
        try:
            if self._ray.wait([self._answer], timeout=0.0)[0]:
                self._newest = self._ray.get(self._answer)
                self._answer = self._actor.look.remote()
        except self._ray.exceptions.RayError as error:
            words = [line for line in str(error).splitlines() if line.strip()]
            last_line = f'the Ray worker is lost: {words[-1].strip() if words else error!r}'
            self._newest = replace(self._newest, status=LOST, last_line=last_line)
        return self._newest

    def stop(self) -> None:
        """Ask it to save and to end."""
        self._actor.stop.remote()

    def close(self) -> None:
        """Give the worker back; a training that still runs there saves and ends."""
        self._ray.kill(cast('ActorHandle[LocalTraining]', self._handle))


class _LookThere(Protocol):
    def remote(self) -> 'ObjectRef[Look]': ...


class _StopThere(Protocol):
    def remote(self) -> 'ObjectRef[None]': ...


class _Worker(Protocol):
    """What a LocalTraining on another machine is called by."""

    look: _LookThere
    stop: _StopThere
