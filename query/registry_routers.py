"""All that the registry answers over HTTP, put together for whoever builds the app.

In: the authority, and this process's copy of it. Out: routers of devices, groups, addresses, assets, imports, keys and
the audit trail.
"""

from fastapi import APIRouter

from headwater.config import Config
from headwater.directory import Directory
from headwater.registry_contract import Registry
from ingest.provisioning import Provisioner, provisioner_on
from query.asset_api import asset_routes
from query.claim_api import claim_routes
from query.decoder_api import decoder_routes
from query.erasure_api import erasure_routes
from query.group_api import group_routes
from query.import_api import import_routes
from query.provision_api import provision_route
from query.registry_api import registry_routes
from query.token_api import token_routes


def registry_routers(
    registry: Registry,
    directory: Directory,
    models: tuple[str, ...] = (),
    config: Config | None = None,
    provisioner: Provisioner | None = None,
) -> list[APIRouter]:
    """The routers. `models`: the names of the configured models, if a device's model shall be one of them.

    `provisioner`: the one that MQTT has as well. Raises `ConfigError` if there is an authority configured that cannot
    be used.
    """
    settings = config or Config()
    provisioner = provisioner or provisioner_on(registry, directory, settings)
    return [
        registry_routes(registry, directory, models),
        import_routes(registry, directory, models),
        group_routes(registry, directory, tuple(settings.quotas.classes) if config is not None else ()),
        claim_routes(registry, directory, models),
        provision_route(provisioner, directory),
        token_routes(registry, directory),
        asset_routes(directory),
        erasure_routes(registry, directory),
        decoder_routes(registry, directory, settings.decoders),
    ]
