"""What can go wrong when models are explored, installed and removed."""

from fireside.core.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError


class ModelNotFoundError(NotFoundError):
    """There is no model of that name."""

    code = "model_not_found"


class ModelNameTakenError(ConflictError):
    """Another model has this name."""

    code = "model_name_taken"


class ModelNotInstalledHereError(ConflictError):
    """The model is named in the settings; only installed models can be removed or copied."""

    code = "model_not_installed"


class UnusableModelFileError(InvalidInputError):
    """The file is no model that Fireside would hand to an engine."""

    code = "unusable_model_file"


class NotEnoughDiskError(ConflictError):
    """There is no room for the model."""

    code = "not_enough_disk"


class DoesNotFitError(ConflictError):
    """The model needs more memory than this machine has."""

    code = "model_does_not_fit"


class InstallNotFoundError(NotFoundError):
    """There is no such installation under way."""

    code = "install_not_found"


class ProviderNotFoundError(NotFoundError):
    """There is no provider of that name."""

    code = "provider_not_found"


class ProviderIsFixedError(ConflictError):
    """The provider stands in the settings, and is changed there."""

    code = "provider_is_fixed"


class ProviderRefusedError(InvalidInputError):
    """The provider cannot be kept like that."""

    code = "provider_refused"


class InvalidCursorError(InvalidInputError):
    """Not a cursor that a page of models gave."""

    code = "invalid_cursor"


class VanishedFileError(UnavailableError):
    """The file was removed while it was being installed; it is fetched again."""

    code = "model_file_vanished"
