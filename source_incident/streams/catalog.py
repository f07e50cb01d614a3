"""The catalog: types, entries, and the types of attribute values."""

from __future__ import annotations

from source_incident.streams.kinds import ChildStream, FullTableStream


class CatalogTypes(FullTableStream):
    """The types of catalog entries, with the attributes of each type."""

    endpoint = "/v3/catalog_types"
    records_key = "catalog_types"
    primary_key = ["id"]


class CatalogEntries(ChildStream):
    """Catalog entries, with the values of their attributes."""

    endpoint = "/v3/catalog_entries"
    records_key = "catalog_entries"
    primary_key = ["id"]
    parent = CatalogTypes
    parent_key = "catalog_type_id"
    page_size = 250


class CatalogResources(FullTableStream):
    """The types that the value of a catalog attribute can have."""

    endpoint = "/v3/catalog_resources"
    records_key = "resources"
    primary_key = ["type"]
