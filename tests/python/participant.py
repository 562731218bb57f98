#!/usr/bin/env python3
"""A participant of a Federated run, written from proto/ and docs/protocol.md alone.

    python participant.py --bundle DIR [--proto DIR] [--stop-after-jobs 1]

DIR is what `federated-coordinator enroll` writes. One line per event goes to standard output. The exit status is 0 when
the jobs were completed, 1 when one failed or was stopped, 2 when the coordinator turned this participant away.
"""

import argparse
import asyncio
import sys
import threading
import tomllib
from array import array
from pathlib import Path

import grpc
from blake3 import blake3

import linear_regression
from linear_regression import Examples, NotTrainable
from wire import Backoff, Problem, Protocol, Refused, connect, load_protocol

MINOR = 0
CALL_SECONDS = 30
CHUNK_BYTES = 1 << 20
LARGEST_MODEL_BYTES = 64 << 20
# How often a transfer that the two sides disagree about is tried before it is given up.
DISAGREEMENTS = 3
# After these the coordinator still waits for the update: it is told that none will come.
UNSETTLED = {"MODEL_UNKNOWN", "MESSAGE_INVALID", "CHUNK_INVALID", "UPLOAD_TRUNCATED", "INTERNAL", ""}


def say(text: str):
    print(text, flush=True)


def named(task_id) -> str:
    return f"{task_id.job}/round {task_id.round}/attempt {task_id.attempt}"


class Participant:
    """One participant from its start to the end of its last job."""

    def __init__(self, bundle: Path, protocol: Protocol, jobs: int):
        settings = tomllib.loads((bundle / "participant.toml").read_text())
        tls = settings.get("tls", {})
        self.files = [
            (bundle / tls.get(key, usual)).read_bytes()
            for key, usual in [("ca", "ca.pem"), ("certificate", "participant.pem"), ("key", "participant.key")]
        ]
        self.name, self.coordinator = settings["name"], settings["coordinator"]
        self.protocol, self.jobs_wanted = protocol, jobs
        self.work: dict[tuple, asyncio.Task] = {}
        self.ended: dict[str, bool] = {}
        self.examples: dict[int, Examples] = {}
        self.channel = self.stub = self.terms = None

    async def run(self) -> int:
        """Takes part until the jobs have ended; gives the exit status."""
        backoff = Backoff()
        try:
            self.open_channel()
            while True:
                try:
                    await self.attend(backoff)
                    return 0 if all(self.ended.values()) else 1
                except grpc.aio.AioRpcError as error:
                    problem = Problem.of(error)
                    # A later session of this participant has taken over: two that reconnect would fight for ever.
                    if problem.reason == "SUPERSEDED_SESSION" or not problem.retry:
                        raise Refused(problem) from None
                    say(f"disconnected: {problem}")
                except TimeoutError:
                    say("disconnected: the coordinator is silent")
                    await self.channel.close()
                    self.open_channel()
                await asyncio.sleep(backoff.seconds())
        except Refused as refused:
            say(f"turned away: {refused}")
            return 2
        finally:
            await self.stop_work(lambda key: True)
            if self.channel:
                await self.channel.close()

    def open_channel(self):
        self.channel = connect(self.coordinator, *self.files)
        self.stub = self.protocol.stub(self.channel)

    async def attend(self, backoff: Backoff):
        """One connection: agrees on the terms and follows the directives. Returns when the last job has ended."""
        messages = self.protocol.participation
        hello = messages.NegotiateRequest(minor_min=MINOR, minor_max=MINOR, software="federated-python-participant")
        self.terms = await self.stub.Negotiate(hello, timeout=CALL_SECONDS)
        if self.terms.participant != self.name:
            found = f"the certificate says {self.terms.participant}, participant.toml {self.name}"
            raise Refused(Problem("", found, False))
        call = self.stub.Attend(messages.AttendRequest(minor=self.terms.minor))
        patience, joined = 3 * self.terms.heartbeat_ms / 1000, False
        try:
            while True:
                directive = await asyncio.wait_for(call.read(), patience)
                if directive is grpc.aio.EOF:
                    # An end without an error: to be treated as a broken connection.
                    raise TimeoutError
                if not joined:
                    say(f"joined as {self.name}")
                    joined = True
                    backoff.reset()
                if await self.follow(directive):
                    return
        finally:
            call.cancel()

    async def follow(self, directive) -> bool:
        """Does what a directive says; true when it was the end of the last job."""
        kind = directive.WhichOneof("kind")
        if kind == "train":
            await self.begin(directive.train)
        elif kind == "withdraw":
            task_id = directive.withdraw.id
            say(f"withdrawn {named(task_id)}: {directive.withdraw.reason}")
            await self.stop_work(lambda key: key == (task_id.job, task_id.round, task_id.attempt))
        elif kind == "job_ended":
            return await self.end(directive.job_ended)
        # A heartbeat, or a kind that a later version added.
        return False

    async def begin(self, task):
        """Starts to work on a task, unless it is one that came before."""
        key = (task.id.job, task.id.round, task.id.attempt)
        if key in self.work:
            say(f"task {named(task.id)} again")
            return
        # A newer task of the job means that the earlier ones are over, even if their Withdraw was missed.
        await self.stop_work(lambda other: other[0] == key[0] and other < key)
        say(f"task {named(task.id)}")
        self.work[key] = asyncio.create_task(self.do(task))

    async def stop_work(self, concerned):
        stopped = [work for key, work in self.work.items() if concerned(key) and not work.done()]
        for work in stopped:
            work.cancel()
        await asyncio.gather(*stopped, return_exceptions=True)

    async def end(self, ended) -> bool:
        outcome = self.protocol.participation.JobOutcome
        known = ended.outcome in outcome.values()
        words = outcome.Name(ended.outcome).removeprefix("JOB_OUTCOME_").lower() if known else "unknown"
        mine = any(key[0] == ended.job for key in self.work)
        if mine and ended.job not in self.ended:
            say(f"job ended {ended.job}: {words}{ended.message and ': ' + ended.message}")
            await self.stop_work(lambda key: key[0] == ended.job)
            self.ended[ended.job] = ended.outcome == outcome.Value("JOB_OUTCOME_COMPLETED")
        return len(self.ended) >= self.jobs_wanted

    async def do(self, task):
        """Does one task from the download to the receipt. Never raises: what goes wrong is said."""
        try:
            try:
                update, metrics, count = await self.train(task)
                await self.upload(task, update, metrics, count)
            except NotTrainable as why:
                await self.decline(task.id, why.reason, str(why))
            except Refused as refused:
                if refused.problem.reason not in UNSETTLED:
                    raise
                await self.decline(task.id, "TRANSFER_FAILED", str(refused))
            except Exception as error:
                # The kind of error alone: its words might hold local data.
                await self.decline(task.id, "TRAINING_FAILED", type(error).__name__)
        except Refused as refused:
            say(f"refused {named(task.id)}: {refused}")

    async def train(self, task) -> tuple[bytes, dict, int]:
        """The bytes of the update, the metrics and the number of examples."""
        if task.model.size_bytes > LARGEST_MODEL_BYTES:
            raise NotTrainable("POLICY_MODEL_SIZE", f"expected at most {LARGEST_MODEL_BYTES} bytes")
        at = linear_regression.places(task.model.layout, self.protocol.model.ELEMENT_TYPE_F32)
        if task.model.size_bytes != 4 * max(at[0].stop, at[1].stop):
            raise NotTrainable("LAYOUT_UNSUPPORTED", "the model's size does not fit its layout")
        received = little_endian(array("f", await self.fetch(task.model)))
        dimension = at[0].stop - at[0].start
        stopped = threading.Event()

        def work():
            # Equal for all tasks with this dimension, so made once.
            examples = self.examples.setdefault(dimension, Examples(self.name, dimension))
            return *linear_regression.train(task, examples, received, at, stopped.is_set), examples.count

        try:
            delta, metrics, count = await asyncio.to_thread(work)
        finally:
            stopped.set()
        return little_endian(delta).tobytes(), metrics, count

    async def persist(self, attempt):
        """Tries a transfer until it succeeds or is refused for good."""
        backoff, disagreements = Backoff(), 0
        while True:
            try:
                return await attempt()
            except grpc.aio.AioRpcError as error:
                problem = Problem.of(error)
                if problem.reason in ("CHUNK_INVALID", "UPLOAD_TRUNCATED") and disagreements < DISAGREEMENTS:
                    disagreements += 1
                elif not problem.retry:
                    raise Refused(problem) from None
                say(f"trying again: {problem}")
            except TimeoutError:
                say("trying again: no answer")
            except asyncio.CancelledError:
                # A channel that was replaced cancels its calls; being cancelled oneself is something else.
                if asyncio.current_task().cancelling():
                    raise
                say("trying again: the connection was replaced")
            await asyncio.sleep(backoff.seconds())

    async def fetch(self, model) -> bytes:
        """Downloads a model, going on where a broken download ended. A wrong digest is given one more chance."""
        content = bytearray()

        async def attempt():
            request = self.protocol.model.FetchModelRequest(digest=model.digest, offset=len(content))
            call = self.stub.FetchModel(request)
            try:
                while True:
                    response = await asyncio.wait_for(call.read(), self.terms.stall_ms / 1000)
                    if response is grpc.aio.EOF:
                        break
                    if response.chunk.offset != len(content):
                        raise NotTrainable("TRAINING_FAILED", "the chunks of the model have a gap")
                    content.extend(response.chunk.data)
                    if len(content) > model.size_bytes:
                        raise NotTrainable("TRAINING_FAILED", "the model is longer than announced")
            finally:
                call.cancel()
            if len(content) < model.size_bytes:
                raise TimeoutError

        for _ in range(2):
            await self.persist(attempt)
            if blake3(content).digest() == model.digest:
                return bytes(content)
            content.clear()
        raise NotTrainable("TRAINING_FAILED", "the model's content does not have the announced digest")

    async def upload(self, task, update: bytes, metrics: dict, count: int):
        """Uploads an update, going on where a broken upload ended, until its receipt comes."""
        messages = self.protocol.participation
        digest = blake3(update).digest()
        header = messages.UpdateHeader(
            task=task.id,
            layout=task.model.layout,
            digest=digest,
            size_bytes=len(update),
            examples=count,
            metrics=metrics,
        )

        async def attempt():
            query = messages.QueryUploadRequest(task=task.id, digest=digest)
            state = await self.stub.QueryUpload(query, timeout=CALL_SECONDS)
            start = len(update) if state.complete else min(state.durable_bytes, len(update))
            if start and not state.complete:
                say(f"resuming {named(task.id)} at byte {start}")
            remaining = len(update) - start
            slowest = max(1, self.terms.min_upload_bytes_per_second)
            patience = remaining / slowest + 2 * self.terms.stall_ms / 1000
            return await self.stub.SubmitUpdate(self.parts(header, update, start), timeout=max(patience, CALL_SECONDS))

        receipt = await self.persist(attempt)
        if receipt.task != task.id or receipt.digest != digest:
            raise Refused(Problem("", "the receipt is for another update", False))
        say(f"receipt {named(task.id)} {digest.hex()}{' (was there already)' if receipt.duplicate else ''}")

    async def parts(self, header, update: bytes, start: int):
        """The messages of an upload: the header, then the bytes from `start` on."""
        messages, chunk = self.protocol.participation, self.protocol.model.Chunk
        yield messages.SubmitUpdateRequest(header=header)
        step = min(CHUNK_BYTES, self.terms.max_chunk_bytes)
        for offset in range(start, len(update), step):
            data = update[offset : offset + step]
            yield messages.SubmitUpdateRequest(chunk=chunk(offset=offset, data=data))

    async def decline(self, task_id, reason: str, message: str):
        say(f"declined {named(task_id)}: {reason}: {message}")
        request = self.protocol.participation.DeclineTaskRequest(
            task=task_id, reason=reason, message=message.encode()[:1024].decode(errors="ignore")
        )
        await self.persist(lambda: self.stub.DeclineTask(request, timeout=CALL_SECONDS))


def little_endian(values: array) -> array:
    """Turns values from or into the byte order of the wire."""
    if sys.byteorder == "big":
        values.byteswap()
    return values


def main() -> int:
    parser = argparse.ArgumentParser(description="A participant of a Federated run, in Python.")
    parser.add_argument("--bundle", type=Path, required=True, help="what `federated-coordinator enroll` wrote")
    here = Path(__file__).resolve().parent
    parser.add_argument("--proto", type=Path, default=here.parents[1] / "proto", help="the folder of federated/v1")
    parser.add_argument("--stop-after-jobs", type=int, default=1, help="how many jobs to see to their end")
    options = parser.parse_args()
    protocol = load_protocol(options.proto)
    return asyncio.run(Participant(options.bundle, protocol, options.stop_after_jobs).run())


if __name__ == "__main__":
    sys.exit(main())
