"""Frames of the farm made by Google's protobuf from farm.proto: an oracle for MessageCodec, and a guard of compatibility.

Needs grpcio-tools. Run in this folder: python make_frames.py; it writes frames.json (message name -> hex of its frame).
The same messages stand as Swift values in GoldenFrameTests.swift.
"""

import importlib
import json
import pathlib
import sys
import tempfile

from grpc_tools import protoc

here = pathlib.Path(__file__).parent
wire = here.parents[2] / "Sources" / "Wire"
with tempfile.TemporaryDirectory() as folder:
    assert protoc.main(["protoc", f"-I{wire}", f"--python_out={folder}", "farm.proto"]) == 0
    sys.path.insert(0, folder)
    pb = importlib.import_module("farm_pb2")

hello = pb.Hello(
    protocol_version=2, role=pb.ROLE_WORKER, run_id=b"run-7", name="wörker".encode(), incarnation=2**63 + 5,
    host=b"host", threads=2, slots=32, policy_version=pb.Version(value=0),
    weights_endpoint=b"", next_step=0, cursor=0)
lease = pb.Lease(
    id=300, attempt=2, step=17, prompt=2**40 + 1,
    messages=[pb.ChatMessage(role=b"system", content=b"be brief"), pb.ChatMessage(role=b"user", content=b"2+2?")],
    reward=pb.RewardSpecification(
        kind=b"number", reference=b"4",
        options=[pb.NamedText(name=b"fuzzy", value=b"no"), pb.NamedText(name=b"partial_credit", value=b"yes")],
        weights=[pb.NamedNumber(name=b"accuracy", value=1), pb.NamedNumber(name=b"format", value=0.125)]),
    policy_version=17, group_size=8,
    sampling=pb.SamplingSettings(temperature=1, top_k=50, top_p=0.95, min_p=0.05, max_new_tokens=48),
    stop_strings=[b"</answer>", b"\n\n"], seed=99)
group = pb.RolloutGroup(
    step=17, prompt=2**40 + 1, policy_version=17, prompt_tokens=[1, 2, 49151],
    rollouts=[
        pb.Rollout(
            tokens=[10, 20, 2], behaviour_log_probabilities=[-0.5, -1.25, -3], log_truncated_masses=[0, -0.125, 0],
            entropies=[0.5, 2, 1], finish=pb.FINISH_REASON_STOP, reward=1.1, text=b"4\x00!",
            scores=[
                pb.NamedScore(name=b"accuracy", value=1), pb.NamedScore(name=b"format", value=1),
                pb.NamedScore(name=b"judge", cause=b"timeout")]),
        pb.Rollout(
            tokens=[7], behaviour_log_probabilities=[-9], log_truncated_masses=[0], entropies=[0.25],
            finish=pb.FINISH_REASON_LENGTH, reward=0, text=b"",
            scores=[pb.NamedScore(name=b"accuracy", value=0)]),
    ])
result = pb.GroupResult(lease=300, group=group)
batch = pb.TrainBatch(step=17, cursor=136, groups=[group, group])
manifest = pb.WeightsManifest(
    version=18,
    files=[pb.NamedText(name=b"config.json", value=b"{}"), pb.NamedText(name=b"tokenizer.json", value=b"\xff\x00")],
    tensors=[
        pb.WeightsManifest.Tensor(name=b"model.norm.weight", shape=[3], encoding=pb.WeightsManifest.FLOAT32),
        pb.WeightsManifest.Tensor(name=b"w", shape=[300, 2], encoding=pb.WeightsManifest.BFLOAT16),
    ],
    payload_byte_count=1280, chunk_byte_count=1 << 20, payload_hash=0x0123456789ABCDEF)
chunk = pb.WeightsChunk(
    version=18, index=3, encoding=pb.WeightsChunk.DIFFERENCE_ZSTD, base_version=pb.Version(value=17), bytes=bytes(range(200)))
status = pb.FarmStatus(
    run_id=b"run-7", phase=b"rollout", step=17, step_count=100, version=pb.Version(value=17), groups_done=3,
    groups_wanted=8, seconds_elapsed=12.5, metrics=[pb.NamedNumber(name=b"loss", value=-0.25)],
    peers=[pb.FarmStatus.Peer(
        name=b"w1", role=pb.ROLE_WORKER, host=b"h", state=b"decoding", tokens_per_second=1500.5, groups_done=40,
        leases=2, heartbeat_age_milliseconds=120)],
    waits=[b"coordinator waits for w1"])

frames = {
    "hello": pb.Envelope(hello=hello),
    "lease": pb.Envelope(lease=lease),
    "groupResult": pb.Envelope(group_result=result),
    "trainBatch": pb.Envelope(train_batch=batch),
    "manifest": pb.Envelope(manifest=manifest),
    "chunk": pb.Envelope(chunk=chunk),
    "statusReport": pb.Envelope(status_report=status),
    "statusRequest": pb.Envelope(status_request=pb.StatusRequest()),
}
text = json.dumps({k: v.SerializeToString(deterministic=True).hex() for k, v in frames.items()}, indent=2, sort_keys=True)
(here / "frames.json").write_text(text + "\n")
