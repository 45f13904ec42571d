from anyclawd.runtime import mark


def test_a_brand_tells_instance_and_invocation() -> None:
    one, other = mark.brand("instance", "one"), mark.brand("instance", "other")
    assert one != other
    assert mark.instance_part(one) == mark.instance_part(other) == mark.instance_brand("instance")


def test_instances_differ_in_their_brands() -> None:
    brands = {mark.instance_brand(f"instance-{number}") for number in range(1000)}
    assert len(brands) == 1000


def test_a_brand_is_a_limit_of_more_than_a_hundred_thousand_years_that_fits_a_signed_word() -> None:
    for number in range(1000):
        brand = mark.brand(f"instance-{number}", "run")
        assert mark.is_brand(brand)
        assert 100_000 * 365 * 86_400 * 10**6 < brand < 2**63


def test_ordinary_limits_are_no_brands() -> None:
    assert not any(map(mark.is_brand, (0, 200_000, 2**31, 2**62 - 1, 2**63 - 1, 2**64 - 1)))
