"""Client's script for Prefect: flows, states, logs, variables, blocks, deployments through its client and command line.

Prints a JSON line a step. Runs in the product's own environment: `prefect_client.py URL KEY_HEADER KEY NAME`.
"""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

URL, HEADER, KEY, NAME = sys.argv[1:5]
os.environ.update(
    PREFECT_API_URL=f"{URL}/api",
    PREFECT_CLIENT_CUSTOM_HEADERS=json.dumps({HEADER: KEY} if KEY else {}),
    PREFECT_API_TLS_INSECURE_SKIP_VERIFY="true",
    PREFECT_LOGGING_LEVEL="WARNING",
    PREFECT_LOGGING_TO_API_ENABLED="true",
    PREFECT_LOGGING_TO_API_BATCH_INTERVAL="0.5",
    PREFECT_CLIENT_CSRF_SUPPORT_ENABLED="true",
)

from prefect import flow, get_client, get_run_logger, tags, task  # noqa: E402 (settings are read at import)
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact  # noqa: E402
from prefect.blocks.system import Secret  # noqa: E402
from prefect.client.schemas.actions import WorkPoolCreate  # noqa: E402
from prefect.client.schemas.filters import FlowFilter, FlowFilterName, FlowRunFilter, FlowRunFilterTags  # noqa: E402
from prefect.client.schemas.sorting import FlowRunSort  # noqa: E402
from prefect.states import Completed, Paused  # noqa: E402
from prefect.variables import Variable  # noqa: E402


def say(step, value):
    print(json.dumps({"step": step, "value": value}, sort_keys=True, default=str), flush=True)


@task(retries=1, retry_delay_seconds=0, tags=["sql"])
def extract(number):
    get_run_logger().warning("SELECT * FROM orders WHERE id = %s; it's row %s", number, number)
    if number == 2 and not os.environ.get("SECOND"):
        os.environ["SECOND"] = "1"
        raise ValueError("no such column: o'reilly at /srv/app/etl.py:12")
    return number * 2


@task
def report(rows):
    create_markdown_artifact(
        key=f"{NAME}-report",
        markdown="# Report\n\n```sql\nSELECT name FROM users WHERE id = 1;\n```\n\n- `rm -rf build`\n- <b>bold</b>, it's *fine*",
        description="what's new",
    )
    create_table_artifact(key=f"{NAME}-table", table=[{"name": "O'Brien", "n": rows[0]}, {"name": "a; b", "n": None}])
    create_link_artifact(key=f"{NAME}-link", link="https://example.com/a?b=c&d=e#f", link_text="see here")
    return sum(rows)


@flow(name=f"{NAME}-etl", description="Extracts; transforms & loads. It's `nightly`.")
def etl(count: int = 3, query: str = "SELECT 1", options: dict | None = None):
    return report([extract(number) for number in range(count)])


async def through_client():
    async with get_client() as client:
        say("healthy", await client.api_healthcheck() is None)
        flows = await client.read_flows(flow_filter=FlowFilter(name=FlowFilterName(any_=[f"{NAME}-etl"])))
        say("flows", [one.name for one in flows])
        runs = await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(tags=FlowRunFilterTags(all_=[NAME])),
            sort=FlowRunSort.EXPECTED_START_TIME_DESC,
            limit=5,
        )
        say("runs", [(one.state_name, one.parameters) for one in runs])
        tasks = await client.read_task_runs(flow_filter=FlowFilter(name=FlowFilterName(any_=[f"{NAME}-etl"])), limit=50)
        say("tasks", isinstance(tasks, list))  # they are recorded by way of a WebSocket
        deployment = await client.create_deployment(
            flow_id=flows[0].id,
            name="nightly",
            tags=[NAME, "prod"],
            description="Runs `etl`; see https://example.com/run?book=etl",
            parameters={"count": 1, "query": "SELECT a, b FROM t WHERE c = 'd' -- note"},
            entrypoint="flows/etl.py:etl",
            path="/srv/flows",
            job_variables={"env": {"HOME": "/root", "CMD": "python -m etl && echo done"}},
            enforce_parameter_schema=False,
        )
        run = await client.create_flow_run_from_deployment(deployment, parameters={"count": 2}, state=Paused())
        say("scheduled", (await client.read_flow_run(run.id)).state_name)
        await client.set_flow_run_state(run.id, Completed(message="done by hand; it's ok"), force=True)
        say("completed", (await client.read_flow_run(run.id)).state.message)
        await client.update_flow_run(run.id, name="renamed run (1)", tags=[NAME, "x"])
        say("renamed", (await client.read_flow_run(run.id)).name)
        pool = WorkPoolCreate(name=f"{NAME}-pool", type="process", description="it's local")
        await client.create_work_pool(pool, overwrite=True)
        say("pools", [one.name for one in await client.read_work_pools() if one.name.startswith(NAME)])
        await client.create_concurrency_limit("sql", 3)
        say("limit", (await client.read_concurrency_limit_by_tag("sql")).concurrency_limit)
        await client.delete_concurrency_limit_by_tag("sql")
        await client.delete_work_pool(f"{NAME}-pool")
        await client.delete_deployment(deployment)


def command(*words):
    done = subprocess.run(
        [str(Path(sys.executable).with_name("prefect")), *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        print(done.stdout[-2000:], done.stderr[-4000:], file=sys.stderr)
    say(" ".join(words[:2]), done.returncode)


with tags(NAME):
    say("result", etl(options={"where": {"$set": 1}, "path": "../data/in.csv"}))
Variable.set(f"{NAME}_query", {"sql": "SELECT 1; -- it's", "list": [1, None, "x"]}, overwrite=True)
say("variable", Variable.get(f"{NAME}_query"))
Secret(value={"token": "a'b\"c;d"}).save(f"{NAME}-secret", overwrite=True)
say("secret", Secret.load(f"{NAME}-secret").get())
asyncio.run(through_client())
command("version")
command("flow", "ls")
command("flow-run", "ls", "--flow-name", f"{NAME}-etl", "--limit", "3")
command("variable", "ls")
command("variable", "inspect", f"{NAME}_query")
command("artifact", "ls")
command("artifact", "inspect", f"{NAME}-report")
command("block", "ls")
command("block", "type", "ls")
command("work-pool", "create", f"{NAME}-cli", "--type", "process")
command("work-pool", "inspect", f"{NAME}-cli")
command("work-pool", "delete", f"{NAME}-cli", "--no-prompt")
command("global-concurrency-limit", "create", f"{NAME}-gcl", "--limit", "5")
command("global-concurrency-limit", "delete", f"{NAME}-gcl")
command("variable", "unset", f"{NAME}_query", "--no-prompt")
