"""Cache-aside: a value comes from the cache, or from its source once for all who wait for it.

Whenever the cache itself fails, the source answers: a cache makes things faster or nothing at all.
"""

from fireside.runtime.caching.cache import Cache
from fireside.runtime.caching.namespace import CacheNamespace
from fireside.runtime.caching.often import Often
from fireside.runtime.caching.settings import CacheSettings
from fireside.runtime.caching.users import telling_users, user_tag

__all__ = ["Cache", "CacheNamespace", "CacheSettings", "Often", "telling_users", "user_tag"]
