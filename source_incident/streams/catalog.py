"""The catalog: what the organisation has told incident.io about its world."""

from __future__ import annotations

from source_incident.streams.kinds import ChildStream, FullTableStream


class CatalogTypes(FullTableStream):
    """The types of thing that the catalog holds, with the attributes of each."""

    endpoint = "/v3/catalog_types"
    records_key = "catalog_types"
    primary_key = ["id"]


class CatalogEntries(ChildStream):
    """The entries of the catalog, with the values of their attributes."""

    endpoint = "/v3/catalog_entries"
    records_key = "catalog_entries"
    primary_key = ["id"]
    parent = CatalogTypes
    parent_key = "catalog_type_id"
    page_size = 250


class CatalogResources(FullTableStream):
    """The types that a catalog attribute's value can have."""

    endpoint = "/v3/catalog_resources"
    records_key = "resources"
    primary_key = ["type"]
