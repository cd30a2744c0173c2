"""The claim about the way from staging to production."""

import delivery
from claims import breaks, check, claim
from cluster import TARGETS
from place import Failed


@claim
def promotion(world):
    """What was healthy in staging is promoted, what was not is refused, and what production renders is what ran in staging, digest by
    digest."""
    def promote():
        # Both environments have one store here, so that there is nothing to carry; and nobody has signed the images.
        return delivery.script("promote", "--registry", "localhost/prowl", "--verify", "true", "--carry", "true")

    _, healthy = delivery.checkout("staging")
    _refused(promote, "a release that nobody has recorded as healthy")
    delivery.script("record-tested", "--revision", healthy, "--verdict", "go")
    delivery.propose(inference="sha256:" + "0" * 63 + "1")
    _refused(promote, "a digest that never ran in staging")
    delivery.propose(inference=world.digests["inference"])
    promote()

    ran, serving = delivery.ran()
    images, models = delivery.rendered("main", "production")
    check(models == {world.second} == serving, f"production would serve {models}; in staging it was {serving}")
    wanted = {f"{target}@{world.digests[target]}" for target in TARGETS}
    check(images == wanted, f"production would run {sorted(images - wanted)} in place of {sorted(wanted - images)}")
    check(images == ran, f"in staging there ran {sorted(ran - images)} besides, and not {sorted(images - ran)}")
    return f"{len(images)} images and the model {world.second} are those that ran in staging"


def _refused(promote, what):
    try:
        promote()
    except Failed as refused:
        check("refused" in str(refused), f"promotion of {what} fails otherwise: {refused}")
    else:
        raise Failed(f"{what} is promoted")


@breaks("promotion")
def with_an_image_that_production_alone_has(world):
    # Before the test in staging, so that no rule of the promotion is broken: two environments that drift apart.
    delivery.edit("staging", "helm/environments/production.yaml", lambda text: text + "tags: {trainer: another}\n")
