"""The object store on any S3-compatible server, through the `minio` client.

The client's default waits for minutes and retries five times behind the caller's back; ours gets an HTTP pool with
short, bounded waits and no retries, because the callers retry with jitter and know what else must happen meanwhile.
An ETag is no hash of the content on every server: sha256 sums are kept in the catalogue.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import TypeVar
from xml.etree.ElementTree import ParseError  # of an answer that was cut off

import urllib3
from minio import Minio
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from minio.helpers import check_bucket_name

from cloud.config import S3Config
from cloud.store.keys import check_key, check_prefix
from models.errors import ConfigurationError, Unavailable

T = TypeVar("T")
_CONNECTIONS = 8
_REFUSED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidBucketName"}


class S3Store:
    """Objects in one bucket, which is made on the first put when it is absent."""

    def __init__(self, config: S3Config, secret: str) -> None:
        try:
            check_bucket_name(config.bucket, strict=True)
        except ValueError as e:
            raise ConfigurationError(
                str(e), where="cloud.toml: s3.bucket", mend="3 to 63 lower-case letters, digits, `-` and `.`"
            ) from e
        self._bucket = config.bucket
        self._where = f"{config.endpoint}/{config.bucket}"
        timeout = urllib3.Timeout(connect=config.timeout_seconds, read=config.timeout_seconds)
        self._client = Minio(
            config.endpoint,
            access_key=config.access_key,
            secret_key=secret,
            secure=config.secure,
            region=config.region,
            http_client=urllib3.PoolManager(timeout=timeout, maxsize=_CONNECTIONS, block=False, retries=False),
        )

    def put(self, key: str, data: bytes) -> None:
        """Store `data` under `key`; a server shows an object only when it is whole."""
        check_key(key)

        def upload() -> None:
            self._client.put_object(self._bucket, key, io.BytesIO(data), len(data))

        try:
            self._call(f"put {key}", upload)
        except KeyError:  # no such bucket
            self._call("make the bucket", self._make_bucket)
            try:
                self._call(f"put {key}", upload)
            except KeyError as e:  # a server that is starting may not know yet what it has
                raise Unavailable(f"cannot put {key}: the bucket is not there", where=self._where) from e

    def get(self, key: str) -> bytes:
        """Return the bytes under `key`; `KeyError` when there are none."""
        check_key(key)

        def download() -> bytes:
            response = self._client.get_object(self._bucket, key)
            try:
                return bytes(response.data)
            finally:
                response.close()
                response.release_conn()

        return self._call(f"get {key}", download)

    def delete(self, key: str) -> None:
        """Remove `key`; a missing one is fine."""
        check_key(key)
        try:
            self._call(f"delete {key}", lambda: self._client.remove_object(self._bucket, key))
        except KeyError:
            return

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the keys that start with `prefix`, sorted."""
        check_prefix(prefix)

        def names() -> list[str]:
            found = self._client.list_objects(self._bucket, prefix=prefix, recursive=True)
            return [str(o.object_name) for o in found]

        try:
            yield from sorted(self._call(f"list {prefix}", names))
        except KeyError:  # no bucket, no objects
            return

    def _make_bucket(self) -> None:
        try:
            self._client.make_bucket(self._bucket)
        except S3Error as e:
            if e.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                raise

    def _call(self, what: str, call: Callable[[], T]) -> T:
        """Run `call` with the client's errors turned into ours."""
        try:
            return call()
        except S3Error as e:
            if e.code in ("NoSuchKey", "NoSuchBucket"):
                raise KeyError(what) from e
            if e.code in _REFUSED:
                raise ConfigurationError(
                    f"the object store refuses to {what}: {e.code}", where=self._where, mend="check [s3] in cloud.toml"
                ) from e
            raise Unavailable(f"cannot {what}: {e.code}", where=self._where) from e
        except (
            MinioException,
            InvalidResponseError,
            ServerError,
            urllib3.exceptions.HTTPError,
            ParseError,
            OSError,
        ) as e:
            raise Unavailable(f"cannot {what}: {type(e).__name__}: {e}", where=self._where) from e
