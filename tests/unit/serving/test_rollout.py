"""Plans as a person would make them, and what is said where none can be made."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from platform_assets.serving.node_room import Needs, NodeRoom
from platform_assets.serving.rollout import (
    AddCandidate,
    ClearAway,
    Create,
    Current,
    Gate,
    GrowCandidate,
    Policy,
    Promote,
    Recreate,
    Refuse,
    RemoveCandidate,
    Route,
    Running,
    Update,
    Wanted,
    rollout_plan,
)
from platform_assets.spec.served_pods import Replicas

GPU = "nvidia.com/gpu"
ONE = Needs({GPU: Fraction(1)})
REFUSE, RECREATE = Policy(), Policy("recreate")


def rooms(*gpus: int) -> list[NodeRoom]:
    return [
        NodeRoom(f"gpu-{at}", {GPU: Fraction(free), "pods": Fraction(100)})
        for at, free in enumerate(gpus)
    ]


def replicas(low: int, high: int | None = None) -> Replicas:
    return Replicas(min=low, max=high or low)


def running(number: int, count: int = 1, **more: Any) -> Running:
    told: dict[str, Any] = {
        "predictor": f"v{number}",
        "tree_digest": f"{number:064x}",
        "replicas": count,
        "bounds": replicas(count),
        "nodes": ("gpu-0",) * count,
        "ready": count,
        "needs": ONE,
    }
    return Running(**(told | more))


def wanted(number: int, low: int = 1, high: int | None = None, **more: Any) -> Wanted:
    return Wanted(
        f"v{number}", f"{number:064x}", replicas(low, high), more.pop("needs", ONE), **more
    )


def live(number: int = 1, count: int = 1, **more: Any) -> Current:
    return Current(running(number, count, **more), None, f"v{number}")


def test_the_first_version_is_gated_before_anybody_asks_it() -> None:
    plan = rollout_plan(None, wanted(1, 2), rooms(1, 1), REFUSE)
    assert plan == (Create("v1", 2), Gate("v1"), Route("v1"))


def test_with_a_spare_gpu_the_new_version_stands_beside_the_live_one() -> None:
    plan = rollout_plan(live(), wanted(2), rooms(1), REFUSE)
    assert plan == (AddCandidate("v2", held=1), Gate("v2"), Route("v2"), Promote("v2", 1))


def test_the_candidate_gets_all_its_pods_before_the_old_ones_go() -> None:
    plan = rollout_plan(live(1, 2), wanted(2, 3), rooms(1, 2), REFUSE)
    assert plan == (
        AddCandidate("v2", held=2),
        Gate("v2"),
        GrowCandidate("v2", held=2, pods=3),
        Route("v2"),
        Promote("v2", 3),
    )


def test_an_autoscaled_candidate_gets_as_many_pods_as_answer_now() -> None:
    current = live(1, 3, bounds=replicas(1, 4))
    assert rollout_plan(current, wanted(2, 1, 2), rooms(2), REFUSE) == (
        AddCandidate("v2", held=3),
        Gate("v2"),
        GrowCandidate("v2", held=3, pods=2),
        Route("v2"),
        Promote("v2", 2),
    )


def test_without_a_spare_gpu_it_is_refused_with_the_reason() -> None:
    [refusal] = rollout_plan(live(), wanted(2), rooms(0, 0), REFUSE)
    assert refusal == Refuse(
        "v2 needs 1 pod beside the live ones of v1, there is room for 0 (gpu-0: 0 of 1 "
        "nvidia.com/gpu free; gpu-1: 0 of 1 nvidia.com/gpu free)",
        "free or add nodes, mend labels, taints and tolerations, or ask for less; or set the "
        "model's rollout.without_spare to recreate, which leaves a gap without answers",
    )


def test_without_a_spare_gpu_it_is_recreated_where_a_gap_is_allowed() -> None:
    plan = rollout_plan(live(), wanted(2), rooms(0), RECREATE)
    assert plan == (Recreate("v2", 1), Gate("v2"), Route("v2"))


def test_with_one_spare_gpu_for_two_pods_nobody_has_to_go_without_answers() -> None:
    assert rollout_plan(live(1, 2), wanted(2, 2), rooms(1), RECREATE) == (
        AddCandidate("v2", held=2),
        Gate("v2"),
        Route("v2"),
        Promote("v2", 2),
    )
    [refusal] = rollout_plan(live(1, 2), wanted(2, 2), rooms(1), REFUSE)
    assert isinstance(refusal, Refuse)
    assert refusal.reason.startswith("v2 needs 2 pods beside the live ones of v1, there is room")


def test_what_never_fits_is_refused_whatever_the_policy() -> None:
    [refusal] = rollout_plan(live(), wanted(2, needs=Needs({GPU: Fraction(4)})), rooms(1), RECREATE)
    assert refusal == Refuse(
        "v2 needs 1 pod even without those of v1, there is room for 0 (gpu-0: 2 of 4 "
        "nvidia.com/gpu free)",
        "free or add nodes, mend labels, taints and tolerations, or ask for less",
    )
    [refusal] = rollout_plan(None, wanted(1), [], REFUSE)
    assert isinstance(refusal, Refuse)
    assert refusal.reason == "v1 needs 1 pod, there is room for 0 (no nodes)"


def test_gpus_on_two_nodes_are_no_room_for_a_pod_of_two() -> None:
    [refusal] = rollout_plan(None, wanted(1, needs=Needs({GPU: Fraction(2)})), rooms(1, 1), REFUSE)
    assert isinstance(refusal, Refuse)


@pytest.mark.parametrize("current", [live(1, 1, ready=0), Current(running(1), None, None)])
def test_where_nobody_is_answered_there_is_no_gap_to_fear(current: Current) -> None:
    plan = rollout_plan(current, wanted(2), rooms(0), REFUSE)
    assert plan == (Recreate("v2", 1), Gate("v2"), Route("v2"))


def test_a_share_of_the_requests_needs_a_gateway() -> None:
    [refusal] = rollout_plan(live(), wanted(2), rooms(1), Policy(share=10))
    assert refusal == Refuse(
        "a share of 10 % of the requests for the candidate needs a gateway: KServe's standard "
        "mode has no weights",
        "remove the model's rollout.share, or set it to 0",
    )
    assert not isinstance(rollout_plan(live(), wanted(2), rooms(1), Policy(share=100))[0], Refuse)


def test_what_a_candidate_would_inherit_keeps_it_from_being_one() -> None:
    other = wanted(2, inherited=("model.runtime", "nodeSelector.zone"))
    [refusal] = rollout_plan(live(), other, rooms(4), REFUSE)
    assert refusal == Refuse(
        "a candidate of KServe takes from v1 what it leaves out itself: model.runtime, "
        "nodeSelector.zone; so v2 cannot be tried as what it is to be",
        "say these keys for the new version, too; or set the model's rollout.without_spare to "
        "recreate, which leaves a gap without answers",
    )
    plan = rollout_plan(live(), other, rooms(4), RECREATE)
    assert plan == (Recreate("v2", 1), Gate("v2"), Route("v2"))


def test_the_same_bytes_under_another_version_are_left() -> None:
    [refusal] = rollout_plan(live(1, 1, tree_digest=f"{2:064x}"), wanted(2), rooms(1), REFUSE)
    assert isinstance(refusal, Refuse)
    assert refusal.reason == "the bytes of v2 are those of v1, which is live"


def test_what_runs_already_is_left_alone() -> None:
    assert rollout_plan(live(1, 1, as_wanted=True), wanted(1), rooms(0), REFUSE) == ()


def test_a_candidate_that_failed_is_taken_away_by_the_plan_for_the_live_version() -> None:
    current = Current(running(1, 2, as_wanted=True), running(2), "v1")
    plan = rollout_plan(current, wanted(1, 2), rooms(0), REFUSE)
    assert plan == (RemoveCandidate("v2", 2),)


def test_rolled_back_in_mid_rollout_the_requests_go_back_before_the_candidate_goes() -> None:
    current = Current(running(1, as_wanted=True), running(2), "v2")
    plan = rollout_plan(current, wanted(1), rooms(0), REFUSE)
    assert plan == (Route("v1"), RemoveCandidate("v2", 1))


def test_what_was_held_for_a_candidate_is_given_back_to_the_autoscaler() -> None:
    current = Current(running(1, 3, bounds=replicas(3, 4), as_wanted=True), running(2), "v1")
    assert rollout_plan(current, wanted(1, 1, 4), rooms(0), REFUSE) == (
        RemoveCandidate("v2", 3),
        Update("v1", 3),
    )


def test_killed_before_the_requests_moved_the_candidate_is_gated_again() -> None:
    current = Current(running(1), running(2, as_wanted=True, nodes=("gpu-1",)), "v1")
    plan = rollout_plan(current, wanted(2), rooms(0, 0), REFUSE)
    assert plan == (Gate("v2"), Route("v2"), Promote("v2", 1))


def test_killed_after_the_requests_moved_only_the_name_is_left() -> None:
    current = Current(running(1), running(2, as_wanted=True), "v2")
    assert rollout_plan(current, wanted(2), rooms(0), REFUSE) == (Promote("v2", 1),)


def test_killed_there_and_another_version_wanted_the_requests_go_back_first() -> None:
    current = Current(running(1), running(2, nodes=("gpu-1",)), "v2")
    assert rollout_plan(current, wanted(3), rooms(0, 0), REFUSE) == (
        Route("v1"),
        RemoveCandidate("v2", 1),
        AddCandidate("v3", held=1),
        Gate("v3"),
        Route("v3"),
        Promote("v3", 1),
    )


def test_killed_after_recreating_the_new_version_is_gated_before_anybody_asks_it() -> None:
    current = Current(running(2, as_wanted=True), None, "v1")
    plan = rollout_plan(current, wanted(2), rooms(0), RECREATE)
    assert plan == (Gate("v2"), Route("v2"))


def test_what_served_here_before_is_not_gated_again() -> None:
    plan = rollout_plan(live(2), wanted(1, is_gated=False), rooms(1), REFUSE)
    assert plan == (AddCandidate("v1", held=1), Route("v1"), Promote("v1", 1))


def test_a_changed_entry_of_the_same_version_is_applied_in_place() -> None:
    assert rollout_plan(live(), wanted(1), rooms(1), REFUSE) == (Update("v1", 1),)
    assert rollout_plan(live(), wanted(1), rooms(0), RECREATE) == (Recreate("v1", 1),)
    [refusal] = rollout_plan(live(), wanted(1), rooms(0), REFUSE)
    assert isinstance(refusal, Refuse)
    assert refusal.reason.startswith("v1 needs 1 pod beside the live ones of v1")


def test_larger_pods_do_not_wait_for_places_of_the_old_ones() -> None:
    """Two pods of one GPU on a node of four cannot be replaced one by one by two of two."""
    larger = wanted(1, 2, needs=Needs({GPU: Fraction(2)}))
    [refusal] = rollout_plan(live(1, 2), larger, rooms(2), REFUSE)
    assert isinstance(refusal, Refuse)
    assert rollout_plan(live(1, 2), larger, rooms(4), REFUSE) == (Update("v1", 2),)
    assert rollout_plan(live(1, 2), larger, rooms(2), RECREATE) == (Recreate("v1", 2),)


def test_pods_of_another_form_do_not_count_on_the_order_in_which_old_ones_go() -> None:
    """The old pod whose place takes three new ones may be the last to go."""
    old, new = Needs({"cpu": Fraction(60)}), Needs({"cpu": Fraction(20), GPU: Fraction(1)})
    nodes = [
        NodeRoom(f"n{at}", {"cpu": Fraction(cpu), GPU: Fraction(gpus), "pods": Fraction(9)})
        for at, (cpu, gpus) in enumerate([(0, 6), (0, 0), (20, 1)])
    ]
    current = live(1, 2, nodes=("n0", "n1"), needs=old)
    [refusal] = rollout_plan(current, wanted(1, 2, needs=new), nodes, REFUSE)
    assert isinstance(refusal, Refuse)


def test_a_cordoned_node_makes_no_room_for_the_next_pod() -> None:
    cordoned = NodeRoom("gpu-0", {GPU: Fraction(0), "pods": Fraction(9)}, closed="cordoned")
    other = NodeRoom("gpu-1", {GPU: Fraction(1), "pods": Fraction(9)})
    [refusal] = rollout_plan(live(1, 2), wanted(1, 2), [cordoned, other], REFUSE)
    assert isinstance(refusal, Refuse)


def test_more_or_fewer_pods_of_the_same_version() -> None:
    same = live(1, 2, as_wanted=True)
    assert rollout_plan(same, wanted(1, 3), rooms(1), REFUSE) == (Update("v1", 3),)
    assert rollout_plan(same, wanted(1, 1), rooms(0), REFUSE) == (Update("v1", 1),)
    [refusal] = rollout_plan(same, wanted(1, 4), rooms(1), RECREATE)
    assert isinstance(refusal, Refuse)
    assert refusal.reason == ("v1 needs 2 pods more, there is room for 1")


def test_pods_of_a_killed_run_are_waited_for_before_anybody_asks_them() -> None:
    candidate = Current(running(1), running(2, ready=0, as_wanted=True), "v1")
    assert rollout_plan(candidate, wanted(2), rooms(0), REFUSE) == (
        GrowCandidate("v2", held=1, pods=1),
        Gate("v2"),
        Route("v2"),
        Promote("v2", 1),
    )
    first = Current(running(1, ready=0, as_wanted=True), None, None)
    assert rollout_plan(first, wanted(1), rooms(0), REFUSE) == (
        Update("v1", 1),
        Gate("v1"),
        Route("v1"),
    )
    promoted = live(1, 1, ready=0, as_wanted=True)
    assert rollout_plan(promoted, wanted(1), rooms(0), REFUSE) == (Update("v1", 1),)


def test_a_pod_that_does_not_start_is_waited_for_where_their_number_is_fixed() -> None:
    tried = live(1, 1, as_wanted=True, unproven=1)
    assert rollout_plan(tried, wanted(1), rooms(0), REFUSE) == (Update("v1", 1),)
    more: dict[str, Any] = {"ready": 1, "nodes": ("gpu-0",), "unproven": 2}
    scaled = live(1, 3, as_wanted=True, bounds=replicas(1, 4), **more)
    assert rollout_plan(scaled, wanted(1, 1, 4), rooms(0), REFUSE) == ()


def test_what_a_killed_promotion_left_is_cleared_away() -> None:
    current = replace(live(2, as_wanted=True), left=("v1",))
    assert rollout_plan(current, wanted(2), rooms(0), REFUSE) == (ClearAway(("v1",)),)
    plan = rollout_plan(current, wanted(3), rooms(1), REFUSE)
    assert plan[:2] == (ClearAway(("v1",)), AddCandidate("v3", held=1))
    [refusal] = rollout_plan(current, wanted(3), rooms(0), REFUSE)
    assert isinstance(refusal, Refuse)
