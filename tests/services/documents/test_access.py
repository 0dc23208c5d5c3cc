"""Who may see and change what: every path to a document, tried by those who may not."""

from uuid import UUID

import pytest

from fireside.contracts import collections, documents
from fireside.contracts.auth_facts import UserDeleted
from fireside.contracts.permissions import ROLES
from fireside.core.errors import ForbiddenError, InvalidInputError
from fireside.core.identity import service_identity, user_identity
from fireside.core.ids import UserId, new_id
from fireside.runtime.context import Context
from fireside.services.documents.errors import (
    AmbiguousCollectionError,
    BuiltInCollectionError,
    CollectionNameTakenError,
    CollectionNotFoundError,
    CollectionReadOnlyError,
    DocumentNotFoundError,
    MemberNotFoundError,
)
from fireside.services.documents.tables import chunks, collection_members
from fireside.services.documents.tables import collections as collection_table
from fireside.services.documents.tables import documents as document_table
from tests.databases import BOTH, database_fixture
from tests.services.documents.conftest import (
    MIGRATIONS,
    Knowledge,
)

database_url = database_fixture("documents", MIGRATIONS, technologies=BOTH)

LEAVE = "# Leave\n\nEveryone gets thirty days of leave."
SALARY = "# Salary\n\nThe boss earns a fortune."


async def create(who: Context, name: str = "Team") -> collections.CollectionView:
    return await who.call(collections.CREATE, collections.CreateCollection(name=name, description=" what we know "))


async def admit(owner: Context, collection: str, member: Context, role: str = "reader") -> None:
    user_id = member.identity.require_user()
    wanted = collections.PutMember(collection=collection, user_id=user_id, role=role)  # type: ignore[arg-type] # one of two
    await owner.call(collections.PUT_MEMBER, wanted)


async def names(who: Context) -> list[str]:
    page = await who.call(collections.LIST, collections.ListCollections())
    return [item.name for item in page.items]


async def assert_hidden(knowledge: Knowledge, who: Context, document_id: UUID) -> None:
    """A document that does not exist, as far as this user can find out."""
    ref = documents.DocumentRef(document_id=document_id)
    for action in (documents.GET, documents.CONTENT):
        with pytest.raises(DocumentNotFoundError):
            await who.call(action, ref)
    with pytest.raises(DocumentNotFoundError):
        await who.call(documents.CHUNKS, documents.ListChunks(document_id=document_id))
    with pytest.raises(DocumentNotFoundError):
        [piece async for piece in who.stream(documents.DOWNLOAD, ref)]
    if who.identity.may("documents:write"):
        for changing in (documents.DELETE, documents.REINDEX):
            with pytest.raises(DocumentNotFoundError):
                await who.call(changing, ref)
    assert document_id not in {item.id for item in (await knowledge.page(who)).items}
    for mode in ("hybrid", "vector", "keyword"):
        found = await knowledge.search(who, "salary boss fortune", mode=mode)
        assert document_id not in {item.document_id for item in found.items}


@pytest.mark.requirement("I11")
async def test_a_personal_document_is_hidden_from_everyone_else(knowledge: Knowledge) -> None:
    (document,) = await knowledge.ingest(knowledge.user, {"salary.md": SALARY})

    assert (await knowledge.get(knowledge.user, document.id)).state == "indexed"
    assert await knowledge.paths(knowledge.user, "salary boss fortune") == ["salary.md"]
    for role in ROLES:
        await assert_hidden(knowledge, knowledge.as_role(role), document.id)


async def test_the_limit_of_a_search_is_pushed_down_to_the_index(knowledge: Knowledge) -> None:
    (mine,) = await knowledge.ingest(knowledge.user, {"mine.md": SALARY})
    await knowledge.ingest(knowledge.as_role("user"), {"theirs.md": SALARY})

    await knowledge.search(knowledge.user, "salary")

    scope = knowledge.vectors.searches[-1].scope
    assert mine.collection_id in scope.collection_ids
    assert len(scope.collection_ids) == 2


async def test_even_an_index_that_ignores_the_limit_leaks_nothing(knowledge: Knowledge) -> None:
    (secret,) = await knowledge.ingest(knowledge.user, {"salary.md": SALARY})
    knowledge.vectors.careless = True

    found = await knowledge.search(knowledge.as_role("user"), "salary")

    assert knowledge.vectors.handed_out == {secret.id}
    assert found.items == ()


async def test_what_is_shared_is_read_by_all_and_changed_by_editors_only(knowledge: Knowledge) -> None:
    (document,) = await knowledge.ingest(knowledge.editor, {"leave.md": LEAVE})

    for role in ROLES:
        who = knowledge.as_role(role)
        assert (await knowledge.get(who, document.id)).path == "leave.md"
        assert await knowledge.paths(who, "leave") == ["leave.md"]
    with pytest.raises(CollectionReadOnlyError):
        await knowledge.delete(knowledge.user, document.id)
    with pytest.raises(ForbiddenError):
        await knowledge.delete(knowledge.as_role("viewer"), document.id)
    await knowledge.delete(knowledge.as_role("admin"), document.id)


async def test_a_key_with_fewer_permissions_than_its_owner_writes_to_personal(knowledge: Knowledge) -> None:
    identity = user_identity(
        knowledge.editor.identity.require_user(), roles=["editor"], permissions=["documents:read", "documents:write"]
    )
    limited = knowledge.node.context(identity=identity)

    (document,) = await knowledge.ingest(limited, {"a.md": LEAVE})

    assert (await knowledge.page(knowledge.user)).items == ()
    assert (await knowledge.get(knowledge.editor, document.id)).path == "a.md"


async def test_a_part_of_fireside_acts_with_the_rights_of_its_user(knowledge: Knowledge) -> None:
    (secret,) = await knowledge.ingest(knowledge.user, {"salary.md": SALARY})
    for_user = knowledge.node.context(identity=service_identity("act", on_behalf_of=knowledge.user.identity))
    for_stranger = knowledge.node.context(
        identity=service_identity("act", on_behalf_of=knowledge.as_role("user").identity)
    )
    for_itself = knowledge.node.context(identity=service_identity("sources"))

    assert await knowledge.paths(for_user, "salary") == ["salary.md"]
    await assert_hidden(knowledge, for_stranger, secret.id)
    await assert_hidden(knowledge, for_itself, secret.id)
    with pytest.raises(CollectionReadOnlyError):
        await knowledge.add(for_stranger, {"a.md": LEAVE}, collection="shared")
    assert await knowledge.ingest(for_itself, {"a.md": LEAVE})


async def test_a_named_collection_is_its_owners_and_its_members(knowledge: Knowledge) -> None:
    team = await create(knowledge.editor)
    assert (team.kind, team.name, team.description, team.may_write, team.may_manage) == (
        "named",
        "Team",
        "what we know",
        True,
        True,
    )
    (document,) = await knowledge.ingest(knowledge.editor, {"salary.md": SALARY}, collection="team")
    await assert_hidden(knowledge, knowledge.user, document.id)
    await assert_hidden(knowledge, knowledge.as_role("admin"), document.id)

    await admit(knowledge.editor, "Team", knowledge.user)

    assert await knowledge.paths(knowledge.user, "salary boss") == ["salary.md"]
    view = await knowledge.user.call(collections.GET, collections.CollectionRef(collection="team"))
    assert (view.document_count, view.may_write, view.may_manage) == (1, False, False)
    with pytest.raises(CollectionReadOnlyError):
        await knowledge.delete(knowledge.user, document.id)
    with pytest.raises(CollectionReadOnlyError):
        await knowledge.add(knowledge.user, {"more.md": LEAVE}, collection="Team")


async def test_members_who_write_add_and_delete(knowledge: Knowledge) -> None:
    team = await create(knowledge.editor)
    await admit(knowledge.editor, str(team.id), knowledge.user, "reader")
    await admit(knowledge.editor, str(team.id), knowledge.user, "writer")

    (document,) = await knowledge.ingest(knowledge.user, {"a.md": LEAVE}, collection=str(team.id))
    assert (await knowledge.get(knowledge.editor, document.id)).collection_id == team.id
    await knowledge.delete(knowledge.user, document.id)


async def test_writing_members_do_not_manage(knowledge: Knowledge) -> None:
    team = await create(knowledge.editor)
    writer = knowledge.as_role("editor")
    await admit(knowledge.editor, str(team.id), writer, "writer")

    with pytest.raises(CollectionReadOnlyError):
        await admit(writer, str(team.id), knowledge.user)
    with pytest.raises(CollectionReadOnlyError):
        await writer.call(collections.DELETE, collections.CollectionRef(collection="Team"))


async def test_a_member_who_is_removed_or_leaves_sees_nothing_any_more(knowledge: Knowledge) -> None:
    team = await create(knowledge.editor)
    (document,) = await knowledge.ingest(knowledge.editor, {"salary.md": SALARY}, collection="Team")
    other = knowledge.as_role("user")
    for member in (knowledge.user, other):
        await admit(knowledge.editor, "Team", member)
    listed = await knowledge.user.call(collections.MEMBERS, collections.CollectionRef(collection="Team"))
    assert [item.user_id for item in listed.items] == [
        knowledge.user.identity.user_id,
        other.identity.user_id,
    ]

    for who, member in ((knowledge.editor, knowledge.user), (other, other)):
        ref = collections.MemberRef(collection=str(team.id), user_id=member.identity.require_user())
        await who.call(collections.REMOVE_MEMBER, ref)
        await assert_hidden(knowledge, member, document.id)

    ref = collections.MemberRef(collection=str(team.id), user_id=other.identity.require_user())
    with pytest.raises(MemberNotFoundError):
        await knowledge.editor.call(collections.REMOVE_MEMBER, ref)


async def test_a_stranger_cannot_even_learn_that_a_collection_exists(knowledge: Knowledge) -> None:
    team = await create(knowledge.editor)
    stranger = knowledge.as_role("editor")
    ref, user_id = collections.CollectionRef(collection=str(team.id)), stranger.identity.require_user()
    attempts = [
        (collections.GET, ref),
        (collections.MEMBERS, ref),
        (collections.DELETE, ref),
        (collections.PATCH, collections.PatchCollection(collection="Team", name="Mine")),
        (collections.PUT_MEMBER, collections.PutMember(collection=str(team.id), user_id=user_id)),
        (collections.REMOVE_MEMBER, collections.MemberRef(collection=str(team.id), user_id=user_id)),
        (documents.LIST, documents.ListDocuments(collection="Team")),
        (documents.SEARCH, documents.SearchDocuments(query="x", collections=("Team",))),
    ]

    for action, request in attempts:
        with pytest.raises(CollectionNotFoundError):
            await stranger.call(action, request)  # type: ignore[type-var] # each request is its action's
    assert await names(stranger) == ["shared", "personal"]


async def test_only_those_with_the_permission_make_collections(knowledge: Knowledge) -> None:
    with pytest.raises(ForbiddenError):
        await create(knowledge.user)


@pytest.mark.parametrize("name", ["shared", " Personal ", "   "])
async def test_some_names_are_not_for_collections(knowledge: Knowledge, name: str) -> None:
    with pytest.raises(InvalidInputError):
        await create(knowledge.editor, name)


async def test_one_owner_has_no_two_collections_of_one_name(knowledge: Knowledge) -> None:
    await create(knowledge.editor, "Team")
    other = await create(knowledge.editor, "Other")

    with pytest.raises(CollectionNameTakenError):
        await create(knowledge.editor, "TEAM")
    with pytest.raises(CollectionNameTakenError):
        await knowledge.editor.call(
            collections.PATCH, collections.PatchCollection(collection=str(other.id), name="team")
        )


async def test_two_collections_of_one_name_need_an_id(knowledge: Knowledge) -> None:
    mine = await create(knowledge.editor, "Team")
    colleague = knowledge.as_role("editor")
    await create(colleague, "Team")
    await admit(colleague, "Team", knowledge.editor)

    with pytest.raises(AmbiguousCollectionError):
        await knowledge.editor.call(collections.GET, collections.CollectionRef(collection="Team"))
    view = await knowledge.editor.call(collections.GET, collections.CollectionRef(collection=str(mine.id)))
    assert view.id == mine.id


async def test_a_collection_can_be_renamed_and_described(knowledge: Knowledge) -> None:
    await create(knowledge.editor, "Team")

    view = await knowledge.editor.call(
        collections.PATCH, collections.PatchCollection(collection="team", name="  The   team ", description="new")
    )

    assert (view.name, view.description) == ("The team", "new")
    assert await names(knowledge.editor) == ["shared", "personal", "The team"]


@pytest.mark.parametrize("name", ["shared", "personal"])
async def test_built_in_collections_stay_as_they_are(knowledge: Knowledge, name: str) -> None:
    admin = knowledge.as_role("admin")
    attempts = [
        (collections.PATCH, collections.PatchCollection(collection=name, name="x")),
        (collections.DELETE, collections.CollectionRef(collection=name)),
        (collections.PUT_MEMBER, collections.PutMember(collection=name, user_id=UserId(new_id()))),
    ]
    for action, request in attempts:
        with pytest.raises(BuiltInCollectionError):
            await admin.call(action, request)  # type: ignore[type-var] # each request is its action's


async def test_an_owner_is_no_member(knowledge: Knowledge) -> None:
    await create(knowledge.editor)

    with pytest.raises(InvalidInputError):
        await admit(knowledge.editor, "Team", knowledge.editor)


async def test_collections_are_listed_page_by_page(knowledge: Knowledge) -> None:
    for number in range(5):
        await create(knowledge.editor, f"Team {number}")

    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = await knowledge.editor.call(collections.LIST, collections.ListCollections(limit=3, cursor=cursor))
        seen += [item.name for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert seen == ["shared", "personal", *(f"Team {number}" for number in range(5))]


async def test_deleting_a_collection_deletes_its_documents(knowledge: Knowledge) -> None:
    await create(knowledge.editor)
    (gone,) = await knowledge.ingest(knowledge.editor, {"salary.md": SALARY}, collection="Team")
    (kept,) = await knowledge.ingest(knowledge.editor, {"salary.md": SALARY}, collection="shared")
    await admit(knowledge.editor, "Team", knowledge.user)

    await knowledge.editor.call(collections.DELETE, collections.CollectionRef(collection="Team"))

    await assert_hidden(knowledge, knowledge.user, gone.id)
    await knowledge.rows_become(document_table, 1)
    assert knowledge.vectors.documents() == {kept.id}
    assert await names(knowledge.editor) == ["shared", "personal"]


@pytest.mark.requirement("D9")
async def test_what_a_user_kept_goes_with_the_account(knowledge: Knowledge) -> None:
    await create(knowledge.editor)
    await knowledge.ingest(knowledge.editor, {"salary.md": SALARY}, collection="Team")
    await knowledge.ingest(knowledge.editor, {"diary.md": SALARY}, collection="personal")
    (shared,) = await knowledge.ingest(knowledge.editor, {"leave.md": LEAVE}, collection="shared")
    colleague = knowledge.as_role("editor")
    await create(colleague, "Theirs")
    await admit(colleague, "Theirs", knowledge.editor)

    async with knowledge.service.database.transaction() as unit:
        unit.emit(UserDeleted(user_id=knowledge.editor.identity.require_user()))

    await knowledge.rows_become(document_table, 1)
    await knowledge.rows_become(chunks, 1)
    await knowledge.objects_become(1)
    assert knowledge.vectors.documents() == {shared.id}
    assert await knowledge.rows(collection_members) == []
    assert {row.name for row in await knowledge.rows(collection_table)} == {"shared", "Theirs"}
