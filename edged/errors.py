"""Every way a request or a model can fail: one root, one class for each cause.

A class carries the number of the EdgeBoard contract and its HTTP status; the
dialects turn it into their own form. Classes cross from a worker to the daemon
by their name (`edged.wire.Failure`).
"""

from __future__ import annotations

from typing import ClassVar, Dict, Optional, Type


class EdgedError(Exception):
    """The root. `str(error)` is the message a client reads.

    `retry_after` is in seconds, None where trying again would not help.
    """

    code: ClassVar[int] = 336000
    http_status: ClassVar[int] = 500
    when: ClassVar[str] = "internal error"
    retry_after: Optional[float] = None

    def __init__(self, message: str = "", retry_after: Optional[float] = None) -> None:
        super().__init__(message or self.when)
        if retry_after is not None:
            self.retry_after = retry_after


class InvalidArgument(EdgedError):
    code, http_status = 336001, 400
    when = "a query value, a field or `mids` is not what it should be"


class NotJson(EdgedError):
    code, http_status = 336002, 400
    when = "the body is not valid JSON"


class BadBase64(EdgedError):
    code, http_status = 336003, 400
    when = "the base64 does not decode"


class BodyTooLarge(EdgedError):
    code, http_status = 336004, 413
    when = "the body is over the limit in bytes"


class ImageTooLarge(EdgedError):
    code, http_status = 336004, 400
    when = "the image is over the limit in pixels"


class BadImage(EdgedError):
    code, http_status = 336005, 400
    when = "the image does not decode"


class ImageTooSmall(EdgedError):
    code, http_status = 336004, 400
    when = "a side of the image is under 15 pixels (EasyDL, BML and OCR routes)"


class ImageMissing(EdgedError):
    code, http_status = 336006, 400
    when = "the image field or the body is missing"


class BadMid(EdgedError):
    code, http_status = 2001, 400
    when = "mid is missing or not a number"


class UnknownModel(EdgedError):
    code, http_status = 2002, 404
    when = "no model has this mid"


class BadPackage(EdgedError):
    code, http_status = 2003, 400
    when = "the file of a model is missing, empty or not a zip that can be unpacked"


class WrongDigest(EdgedError):
    code, http_status = 2004, 400
    when = "the md5 of a model's file is not the one that came with it"


class BadModel(EdgedError):
    code, http_status = 2005, 400
    when = "what is in a model's file cannot be served here, or not as this model"


class NotPossible(EdgedError):
    code, http_status = 336001, 409
    when = "the model is not in the state that the change is for"


class ModelBusy(EdgedError):
    code, http_status = 336100, 409
    when = "the model is being changed already"
    retry_after = 5.0


class ModelUnavailable(EdgedError):
    code, http_status = 336100, 503
    when = "the model is loading, failed or restarting"
    retry_after = 30.0


class Stopping(EdgedError):
    code, http_status = 336100, 503
    when = "the daemon is stopping"
    retry_after = 1.0


class QueueFull(EdgedError):
    code, http_status = 336100, 429
    when = "the model's queue is full, or the wait in it would pass the deadline"
    retry_after = 1.0


class DeadlinePassed(EdgedError):
    code, http_status = 336101, 504
    when = "the deadline passed before the model answered"


class NoRoute(EdgedError):
    code, http_status = 3, 404
    when = "no such route"


class WrongMethod(EdgedError):
    code, http_status = 3, 405
    when = "the route does not take this method"


class TokenMalformed(EdgedError):
    code, http_status = 100, 401
    when = "there is no access token, or it has not the form of one"


class TokenInvalid(EdgedError):
    code, http_status = 110, 401
    when = "the access token was not made here, or its key has a new secret since"


class TokenExpired(EdgedError):
    code, http_status = 111, 401
    when = "the access token is older than 30 days"


class BadCredentials(EdgedError):
    code, http_status = 110, 401
    when = "the API key or its secret is wrong (token service)"


class KeyRevoked(EdgedError):
    code, http_status = 15, 401
    when = "the access token's key was revoked"


class NotPermitted(EdgedError):
    code, http_status = 6, 403
    when = "the key may not use this model, or not change models"


class DailyLimit(EdgedError):
    code, http_status = 17, 429
    when = "the key's requests of this day are used up"


class SecondLimit(EdgedError):
    code, http_status = 18, 429
    when = "the key's requests of this second are used up"
    retry_after = 1.0


class TotalLimit(EdgedError):
    code, http_status = 19, 429
    when = "the key's requests are used up"


class StoreError(EdgedError):
    code, http_status = 406000, 500
    when = "the datasets cannot be read or written"


class BadParam(EdgedError):
    code, http_status = 406001, 400
    when = "a parameter is missing or not what it should be"


class BadImport(EdgedError):
    code, http_status = 406001, 400
    when = "what is to be imported is not a dataset of the format (edged datasets import)"


class DatasetUnknown(EdgedError):
    code, http_status = 406002, 404
    when = "there is no such dataset"


class DatasetExists(EdgedError):
    code, http_status = 406003, 409
    when = "there is such a dataset already"


class DatasetBusy(EdgedError):
    code, http_status = 406004, 409
    when = "an import or a deletion of the dataset is under way"


class LabelUnknown(EdgedError):
    code, http_status = 406005, 404
    when = "the dataset has no such label"


class NotOwner(EdgedError):
    code, http_status = 406006, 403
    when = "the dataset is another key's"


class QuotaExceeded(EdgedError):
    code, http_status = 406008, 507
    when = "the datasets have as many entities or bytes as they may"


class PoisonImage(EdgedError):
    code, http_status = 336000, 500
    when = "this image has crashed the model twice and is refused"


class WorkerDied(EdgedError):
    code, http_status = 336000, 500
    when = "the model's process died with the request, again and again"


class BadOutput(EdgedError):
    code, http_status = 336000, 500
    when = "the model's output is not usable: NaN, infinite or of another shape"


class EngineError(EdgedError):
    code, http_status = 336000, 500
    when = "the engine cannot load or run the model"


class ModelFolderError(EdgedError):
    code, http_status = 336000, 500
    when = "a model's folder cannot be served"


class NotKept(ModelFolderError):
    code, http_status = 336000, 507
    when = "a model cannot be kept or loaded: no room in the state directory or in memory"


class ConfigError(EdgedError):
    code, http_status = 336000, 500
    when = "a setting is unknown or wrong"


class KeyStoreError(EdgedError):
    code, http_status = 336000, 500
    when = "the keys cannot be read or changed"


def _table(root: Type[EdgedError]) -> Dict[str, Type[EdgedError]]:
    table = {root.__name__: root}
    for child in root.__subclasses__():
        table.update(_table(child))
    return table


ERRORS: Dict[str, Type[EdgedError]] = _table(EdgedError)
"""Class name -> class, for the wire, the documentation and the tests."""
