"""The servers that other tests stand on: each answers, survives a kill, and leaves nothing behind."""

from __future__ import annotations

import io
import os
import subprocess
import sys

from sqlalchemy import create_engine, text


def test_each_test_has_an_empty_database_that_survives_a_kill_of_its_server(postgres):
    url, other = postgres.create_database(), postgres.create_database()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("create table t (a int)"))
        connection.execute(text("insert into t values (7)"))
    postgres.kill()
    postgres.start()
    engine.dispose()
    with engine.begin() as connection:
        assert connection.execute(text("select a from t")).scalar() == 7
    with create_engine(other).begin() as connection:
        assert connection.execute(text("select to_regclass('t')")).scalar() is None


def test_an_object_survives_a_kill_of_the_store_that_holds_it(s3):
    bucket = s3.create_bucket()
    s3.client().put_object(bucket, "a/b", io.BytesIO(b"kept"), 4)
    s3.kill("osd")
    s3.start()
    assert s3.client().get_object(bucket, "a/b").data == b"kept"


def test_the_browser_runs_a_page_and_keeps_its_console(chromium):
    chromium.get("data:text/html,<title>t</title><script>console.error('seen')</script>")
    assert chromium.title == "t"
    assert "seen" in str(chromium.get_log("browser"))


def test_the_cluster_runs_a_task_and_refuses_who_has_no_token(ray_cluster, tmp_path):
    import ray

    assert ray.get(ray.remote(lambda: 7).remote()) == 7
    (tmp_path / "token").write_text("0" * 64)
    stranger = {**os.environ, "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}
    refused = subprocess.run(
        [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", ray_cluster],
        env=stranger,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert refused.returncode != 0
    assert "token" in (refused.stdout + refused.stderr).lower()
