"""In the sample city the reviews that must stand before data are provided are signed."""

from collections.abc import Mapping

from django.db import transaction

from shuqiao.control import clock
from shuqiao.control.accounts.models import Account
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.exchange.clearances import longest, sign, standing_of, store_demands
from shuqiao.rules.capabilities import Capability
from shuqiao.rules.regulation import Regulation


@transaction.atomic
def sign_sample_reviews(regulation: Regulation, mappings: Mapping[str, str]) -> None:
    """Sign what is missing for these versions of mappings, by resource; a second call changes nothing."""
    signing = [role.key for role in regulation.roles if Capability.DATA_CLEAR in role.capabilities]
    for resource, mapping in mappings.items():
        department = Resource.objects.values_list("department_id", flat=True).get(pk=resource)
        person = Account.objects.filter(department_id=department, role__in=signing).order_by("pk").first()
        standing = {one.kind for one in standing_of(resource) if one.mapping == mapping}
        for review in regulation.reviews:
            if person is not None and review.key not in standing:
                sign(resource, review.key, mapping, longest(review, clock.today()), person.username)
    store_demands()
