from fireside.contracts.auth_facts import IdentityChanged
from fireside.core.ids import UserId, new_id
from fireside.services.gateway.service import GatewayService
from fireside.testing.durable import eventually
from fireside.testing.mesh import local_node


async def test_a_change_of_rights_on_any_node_is_heard() -> None:
    heard: list[UserId | None] = []
    user_id = UserId(new_id())

    async def both() -> bool | None:
        return True if len(heard) == 2 else None

    async with local_node(GatewayService(forget=[heard.append])) as node:
        for changed in (user_id, None):
            await node.context().broadcast(IdentityChanged(user_id=changed))
        await eventually(both)

    assert heard == [user_id, None]
