"""Groups of devices, and addresses that nobody may come from, over HTTP, for administrators.

In: `/api/v1/registry/groups…` and `/addresses…`. Out: JSON (`group_models`), once the change is in force here.
"""

from collections.abc import Collection
from ipaddress import ip_network
from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Response

from headwater.directory import Directory
from headwater.errors import Rejected
from headwater.registry import Block, Group, checked
from headwater.registry_contract import Registry
from headwater.times import now
from query.group_models import BlockAnswer, BlockPage, GroupAnswer, GroupChanges, GroupPage, NewBlock, NewGroup
from query.problems import RESPONSES
from query.registry_base import Admin, After, Changing, IfMatch, Limit, Named, tagged

Address = Annotated[str, Path(max_length=64, description="An IP address or network.", examples=["192.0.2.0/24"])]
_OURS = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def group_routes(registry: Registry, directory: Directory, quotas: Collection[str] = ()) -> APIRouter:
    """The routes. `quotas`: names of the configured classes, if a group's shall be one of them."""
    routes = _Routes(Changing(registry, directory), quotas)
    router = APIRouter(prefix="/api/v1/registry", tags=["registry"], responses=RESPONSES)
    add = router.add_api_route
    add("/groups", routes.groups, methods=["GET"], summary="Groups by name")
    add("/groups", routes.add_group, methods=["POST"], status_code=201, summary="Add a group")
    add("/groups/{name}", routes.group, methods=["GET"], summary="One group")
    add("/groups/{name}", routes.change_group, methods=["PATCH"], summary="Change its topic rules or quota")
    add("/groups/{name}", routes.remove_group, methods=["DELETE"], status_code=204, summary="Remove a group")
    add("/addresses", routes.blocks, methods=["GET"], summary="Blocked addresses")
    add("/addresses", routes.block, methods=["POST"], status_code=201, summary="Block an address; ends its connections")
    path = "/addresses/{address:path}"
    add(path, routes.unblock, methods=["DELETE"], status_code=204, summary="Let an address in again")
    return router


class _Routes:
    def __init__(self, changing: Changing, quotas: Collection[str]) -> None:
        self._changing = changing
        self._registry = changing.registry
        self._quotas = quotas

    async def groups(self, _: Admin, after: After = "", limit: Limit = 1000) -> GroupPage:
        found = await self._registry.page(Group, after, limit)
        return GroupPage(
            groups=[GroupAnswer.of(group) for group in found], next=found[-1].name if len(found) == limit else None
        )

    async def add_group(self, who: Admin, new: NewGroup, response: Response) -> GroupAnswer:
        self._check_quota(new.quota)
        group = Group(name=new.name, publish=tuple(new.publish), subscribe=tuple(new.subscribe), quota=new.quota)
        group = await self._changing.seen(await self._registry.put(group, 0, actor=who.name))
        tagged(response, group.version)
        return GroupAnswer.of(group)

    async def group(self, _: Admin, name: Named, response: Response) -> GroupAnswer:
        group = await self._changing.known(Group, name)
        tagged(response, group.version)
        return GroupAnswer.of(group)

    async def change_group(
        self, who: Admin, name: Named, wanted: GroupChanges, response: Response, if_match: IfMatch = None
    ) -> GroupAnswer:
        group = await self._changing.known(Group, name)
        self._check_quota(wanted.quota or "")
        told = {name: value for name, value in wanted.model_dump().items() if value is not None}
        told = {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}
        group = await self._changing.replace(msgspec.structs.replace(group, **told), if_match, who)
        tagged(response, group.version)
        return GroupAnswer.of(group)

    async def remove_group(self, who: Admin, name: Named, if_match: IfMatch = None) -> None:
        group = await self._changing.known(Group, name)
        await self._changing.replace(Group(name=name, removed=True, version=group.version), if_match, who)

    async def blocks(self, _: Admin, after: After = "", limit: Limit = 1000) -> BlockPage:
        found = await self._registry.page(Block, after, limit)
        return BlockPage(
            addresses=[BlockAnswer.of(block) for block in found], next=found[-1].name if len(found) == limit else None
        )

    async def block(self, who: Admin, new: NewBlock) -> BlockAnswer:
        until = now() + round(new.seconds * 1e6) if new.seconds else 0
        block = checked(Block(name=_network(new.address), reason=new.reason, until=until))
        return BlockAnswer.of(await self._changing.seen(await self._registry.put(block, actor=who.name)))

    async def unblock(self, who: Admin, address: Address) -> None:
        block = await self._changing.known(Block, _network(address))
        await self._changing.replace(Block(name=block.name, removed=True, version=block.version), None, who)

    def _check_quota(self, quota: str) -> None:
        if quota and self._quotas and quota not in self._quotas:
            raise Rejected("bad_value", f"no quota {quota!r} is configured; there are: {', '.join(self._quotas)}")


def _network(address: str) -> str:
    """In its one form. Raises `Rejected`, also for what would shut out this machine's own programs."""
    network = checked(Block(name=address)).name
    found = ip_network(network)
    if any(found.overlaps(ours) for ours in _OURS if ours.version == found.version):
        raise Rejected("bad_value", f"{network} has this machine's own addresses in it")
    return network
