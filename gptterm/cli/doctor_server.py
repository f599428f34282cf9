"""`gptterm doctor --server`: what a server can do."""

from gptterm.engine.api import RemoteModel
from gptterm.engine.remote.engine import probe_server
from gptterm.engine.remote.probe import FormResult, ServerReport
from gptterm.engine.remote.servers import Access, host, is_loopback
from gptterm.errors import ModelError
from gptterm.format import latency, plural

_MOST_LISTED = 20
_Section = dict[str, str]


def server_sections(
    server: str, model: str | None, api_key: str, *, offline: bool
) -> dict[str, _Section]:
    """Ask a server, and return the sections of the report.

    Args:
        server: its address, or its name in config.toml.
        model: the model to try; None for the only one.

    Raises:
        ModelError: it cannot be reached, or refuses.
        UsageError: it has no valid address.
    """
    from gptterm.config import load_settings

    options = {"server": server} if model is None else {"server": server, "model": model}
    settings = load_settings(options, api_key=api_key)
    remote = settings.remote
    assert remote is not None
    if model is None:
        remote = settings.servers.only_model(server)
    if (offline or settings.offline) and not is_loopback(remote):
        raise ModelError(f"gptterm is offline: {host(remote)} is not asked")
    access = settings.servers.access(remote)
    report = probe_server(remote, access)
    sections = {"server": _server(report, access)}
    if report.forms:
        sections["model"] = _model(report)
    return sections


def _server(report: ServerReport, access: Access) -> _Section:
    models = "the server does not list them"
    if report.models is not None:
        shown = ", ".join(report.models[:_MOST_LISTED])
        more = ", …" if len(report.models) > _MOST_LISTED else ""
        models = f"{len(report.models)}: {shown}{more}" if shown else "none"
    rows = {
        "address": report.remote.url,
        "key": f"of {access.key_source}" if access.key else "none",
        "models": models,
    }
    if not report.forms:
        rows["model"] = "name one with -m to see what it can do"
    return rows


def _model(report: ServerReport) -> _Section:
    remote = report.remote
    rows = {
        "name": remote.model,
        "server is": report.kind or "of no known kind",
        "context": _context(remote),
        **{name: _form(form) for name, form in report.forms.items()},
        "log probabilities": _logprobs(report),
        "token counts": "told" if any(f.told_counts for f in report.forms.values()) else "not told",
        "samplers sent": ", ".join(report.samplers),
    }
    if report.left_out:
        rows["not sent"] = "; ".join(f"{name}: {why}" for name, why in report.left_out.items())
    return rows


def _context(remote: RemoteModel) -> str:
    return plural(remote.context_length, "token") if remote.context_length else "not told"


def _form(form: FormResult) -> str:
    return form.problem or f"yes, first token after {latency(form.first_token_s)}"


def _logprobs(report: ServerReport) -> str:
    if report.no_logprobs:
        return f"none: {report.no_logprobs}"
    most = max(form.alternatives or 0 for form in report.forms.values())
    return f"yes, with {plural(most, 'alternative')} a token"
