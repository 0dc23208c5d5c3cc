"""Accounts, sessions, keys and roles as contracts show them."""

from fireside.contracts.auth import ApiKeyView, SessionView, UserView
from fireside.contracts.auth_admin import InvitationView, RoleView
from fireside.core.ids import SessionId
from fireside.services.auth.model import ApiKey, OneTimeToken, Role, Session, User


def user_view(user: User) -> UserView:
    """An account, without its password."""
    return UserView(
        id=user.id,
        email=user.email,
        name=user.name,
        role=user.role,
        state=user.state,
        created_at=user.created_at,
        last_sign_in_at=user.last_sign_in_at,
    )


def session_view(session: Session, *, current: SessionId | None) -> SessionView:
    """A session, without its secrets."""
    return SessionView(
        id=session.id,
        address=session.address,
        user_agent=session.user_agent,
        created_at=session.created_at,
        last_used_at=session.last_used_at,
        expires_at=session.expires_at,
        current=session.id == current,
    )


def api_key_view(key: ApiKey) -> ApiKeyView:
    """A key, without its secret."""
    return ApiKeyView(
        id=key.id,
        name=key.name,
        prefix=key.prefix,
        scopes=key.scopes or (),
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
    )


def role_view(role: Role) -> RoleView:
    """A role with its permissions in order."""
    return RoleView(
        name=role.name,
        description=role.description,
        permissions=tuple(sorted(role.permissions)),
        builtin=role.builtin,
    )


def invitation_view(token: OneTimeToken) -> InvitationView:
    """An invitation, without its token."""
    return InvitationView(
        id=token.id, email=token.email, role=token.role, created_at=token.created_at, expires_at=token.expires_at
    )
