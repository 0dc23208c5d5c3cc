"""Invitations: links that let one address register once, with the role it was invited for."""

from datetime import timedelta
from uuid import UUID

from fireside.contracts.auth_admin import CreatedInvitation, InvitationList, Invite
from fireside.contracts.auth_facts import UserInvited
from fireside.core.ids import new_id
from fireside.runtime.context import Context
from fireside.services.auth.errors import EmailTakenError, InvitationNotFoundError, RegistrationClosedError
from fireside.services.auth.model import OneTimeToken, normal_email, require_covers
from fireside.services.auth.opaque_tokens import digest, make_one_time_token
from fireside.services.auth.repository import one_time_tokens, roles, users
from fireside.services.auth.tools import Tools
from fireside.services.auth.views import invitation_view

_LISTED = 100


class Invitations:
    """Makes, lists and takes back invitations."""

    def __init__(self, tools: Tools) -> None:
        self._database, self._settings, self._clock = tools.database, tools.settings, tools.clock

    async def create(self, context: Context, request: Invite) -> CreatedInvitation:
        """Invite someone.

        Raises:
            RegistrationClosedError: Nobody may register here, invited or not.
            EmailTakenError: There is an account with this address.
            UnknownRoleError: There is no such role.
            BeyondOwnRightsError: The role allows what the caller may not do.
        """
        if self._settings.registration == "closed":
            raise RegistrationClosedError("nobody may register here (FIRESIDE_AUTH_REGISTRATION); make an account")
        text, now, email = make_one_time_token(), self._clock.now(), normal_email(request.email)
        token = OneTimeToken(
            id=new_id(),
            purpose="invitation",
            token_hash=digest("invitation", text.encode()),
            email=email,
            role=request.role,
            created_at=now,
            expires_at=now + timedelta(hours=self._settings.one_time_link_hours),
        )
        async with self._database.transaction(context) as unit:
            role = await roles.get_to_give(unit.session, request.role)
            require_covers(context.identity, role.permissions)
            if await users.find_by_email(unit.session, email) is not None:
                raise EmailTakenError(field="email")
            await one_time_tokens.add(unit.session, token)
            unit.emit(UserInvited(invitation_id=token.id, role=role.name, by=context.identity.user_id))
        return CreatedInvitation(**invitation_view(token).model_dump(), token=text)

    async def list_open(self) -> InvitationList:
        """The invitations that still work, newest first."""
        async with self._database.read() as session:
            found = await one_time_tokens.list_all(session, "invitation", now=self._clock.now(), limit=_LISTED)
        return InvitationList(items=tuple(invitation_view(token) for token in found))

    async def delete(self, context: Context, invitation_id: UUID) -> None:
        """Take an invitation back.

        Raises:
            InvitationNotFoundError: There is no such invitation, or it was used.
        """
        async with self._database.transaction(context) as unit:
            if not await one_time_tokens.remove(unit.session, invitation_id, "invitation"):
                raise InvitationNotFoundError
