"""Control says everything that is wrong with its settings at once, and no secret with it."""

import pytest

from shuqiao.control.config import ConfigError, read_config


@pytest.fixture
def complete(tmp_path) -> dict[str, str]:
    """A usable environment."""
    secret = tmp_path / "secret"
    secret.write_text("s" * 60, encoding="utf-8")
    return {
        "SHUQIAO_DATABASE_URL": "postgresql://owner:hidden@db.example:5433/hub?sslmode=require",
        "SHUQIAO_SECRET_KEY_FILE": str(secret),
        "SHUQIAO_REGULATION": "guangzhou-2016",
        "SHUQIAO_ALLOWED_HOSTS": "share.example, 127.0.0.1",
        "SHUQIAO_PLANE_URL": "http://127.0.0.1:8001/",
        "SHUQIAO_PORTAL_KEYS": "/keys",
        "SHUQIAO_GRANT_KEY_FILE": "/keys/grants.key",
    }


def test_a_complete_environment_is_read(complete):
    config = read_config(complete)
    assert config.database["host"] == "db.example"
    assert config.database["sslmode"] == "require"
    assert config.allowed_hosts == ("share.example", "127.0.0.1")
    assert (config.regulation, config.sample, config.behind_tls) == ("guangzhou-2016", False, False)
    assert config.plane_url == "http://127.0.0.1:8001"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SHUQIAO_DATABASE_URL", "sqlite:///x"),
        ("SHUQIAO_DATABASE_URL", "postgresql://owner:hidden@[bad"),
        ("SHUQIAO_SECRET_KEY_FILE", "/nonexistent"),
        ("SHUQIAO_ALLOWED_HOSTS", "*"),
        ("SHUQIAO_PLANE_URL", "ftp://plane"),
        ("SHUQIAO_PLANE_URL", "http://plane.example:8001"),
        ("SHUQIAO_PLANE_CA_FILE", "/nonexistent"),
        ("SHUQIAO_TLS_CERT_FILE", "/tls/pages.pem"),
        ("SHUQIAO_TLS_KEY_FILE", "/tls/pages.key"),
        ("SHUQIAO_PORTAL_KEYS", ""),
        ("SHUQIAO_GRANT_KEY_FILE", ""),
        ("SHUQIAO_REGULATION", ""),
        ("SHUQIAO_SAMPLE", "yes"),
        ("SHUQIAO_BEHIND_TLS", "on"),
        ("SHUQIAO_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("SHUQIAO_TRUSTED_PROXIES", "proxy.example"),
        ("SHUQIAO_LOG_ORIGIN", "two words"),
    ],
)
def test_each_fault_is_named_by_its_variable(complete, name, value):
    with pytest.raises(ConfigError) as refused:
        read_config(complete | {name: value})
    assert [name in fault for fault in refused.value.faults] == [True]
    assert "hidden" not in str(refused.value)


def test_all_faults_are_reported_together():
    with pytest.raises(ConfigError) as refused:
        read_config({})
    assert len({fault.split()[0] for fault in refused.value.faults}) == 7
