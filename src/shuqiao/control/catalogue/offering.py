"""What an entry offers to those who ask for it: modes, channels, plain items, and what is given masked."""

from shuqiao.control.catalogue.models import Item, Resource, Service, ServiceKind
from shuqiao.control.catalogue.sharing import current
from shuqiao.control.catalogue.vocabulary import vocabulary
from shuqiao.rules.channels import BROWSE, INTERFACE, channels_of
from shuqiao.rules.regulation import Regulation
from shuqiao.rules.terms import Offer, is_masked


def offer_of(resource: Resource, regulation: Regulation) -> Offer:
    """What may be asked for of an entry at all, under a regulation (MOD-01, MOD-06, MOD-08, SEC-18)."""
    confined = is_confined(resource, regulation)
    only = regulation.exchange.interface_only
    items = list(resource.items.all())
    manner = resource.content.get("manner") or ()
    channels = channels_of(manner, vocabulary().manner_channels, confined=confined)
    if set(resource.modes) == {"bulk"} and _serves_files(resource):
        # There are no records in a file that could be leafed through.
        channels = tuple(one for one in channels if one != BROWSE)
    modes = frozenset(resource.modes)
    if is_held(resource):
        # Only the department's node has the records, and it answers one call at a time.
        modes, channels = modes - {"bulk"}, tuple(one for one in channels if one == INTERFACE)
    return Offer(
        modes=modes,
        channels=channels,
        types={item.field: item.type for item in items if not item.identity and item.type != "image"},
        masked=frozenset(item.field for item in items if masked(item, regulation)),
        codes={item.field: frozenset(item.codes) for item in items if item.codes and not item.identity},
        channel_article=regulation.cite(only.article) if confined and only else "",
    )


def is_held(resource: Resource) -> bool:
    """Tell whether the data of an entry stay with its department, whose node answers (ING-09)."""
    return Service.objects.filter(resource=resource, kind=ServiceKind.NODE, ended_at=None).exists()


def is_by_interface(resource: Resource) -> bool:
    """Tell whether its department's own interface alone serves an entry: it answers queries, nothing else."""
    kinds = Service.objects.filter(resource=resource, ended_at=None).values_list("kind", flat=True)
    return ServiceKind.INTERFACE in kinds and {ServiceKind.TABLE, ServiceKind.NODE}.isdisjoint(kinds)


def _serves_files(resource: Resource) -> bool:
    return Service.objects.filter(resource=resource, kind=ServiceKind.FILE, ended_at=None).exists()


def is_confined(resource: Resource, regulation: Regulation) -> bool:
    """Tell whether the regulation lets an entry be given by interface only: by its work, or its cycle.

    Source: shenyang-2016 art. 21.
    """
    if regulation.exchange.interface_only is None:
        return False
    row = current([resource])[resource.id].entry
    relations = {*(resource.content.get("relations") or ()), *(row.relations if row else ())}
    return regulation.exchange.confines(relations, resource.update_cycle)


def masked(item: Item, regulation: Regulation) -> bool:
    """Tell whether an item is given out masked unless a grant names it."""
    return is_masked(
        item.sensitivity, regulation.masked_from_sensitivity, business_secret=item.business_secret
    )
