use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{super::parameters::Fraction, *};

const FIRST: [u32; 8] = [90, 144, 5, 222, 246, 229, 70, 1];
const LAST: [u32; 8] = [69, 82, 244, 179, 43, 207, 44, 274];

fn graph(participants: u32, gamma: f64, delta: f64, session: u8) -> (Parameters, Graph) {
    let [gamma, delta] = [gamma, delta].map(|fraction| Fraction::try_from(fraction).unwrap());
    let parameters = Parameters::new(participants, gamma, delta).unwrap();
    (parameters, Graph::new(&parameters, &SessionId::from([session; 32])))
}

fn neighbours(graph: &Graph, u: u32) -> Vec<u32> {
    graph.neighbours(u).collect()
}

#[test]
fn few_participants_share_with_everyone_and_hold_a_share_of_their_own() {
    let (_, graph) = graph(4, 0.333_333, 0.25, 1);
    assert_eq!(neighbours(&graph, 2), [0, 1, 3]);
    assert_eq!(graph.holders(2), [0, 1, 2, 3]);
    assert_eq!(
        (0..5).map(|holder| graph.share_x(2, holder)).collect::<Vec<_>>(),
        [Some(1), Some(2), Some(3), Some(4), None]
    );
    assert!(neighbours(&graph, 4).is_empty() && graph.holders(4).is_empty());
    assert_eq!(graph.share_x(4, 0), None);
    assert_eq!(graph.check_window(|_| true), Ok(()));
    let (_, largest) = self::graph(255, 0.333_333, 0.1, 1);
    assert_eq!(largest.share_x(0, 254), Some(255));
}

/// The order of a ring of 300 by another implementation:
/// `sorted(range(300), key=lambda i: sha256(b"flsa/v1 ring" + bytes([7]) * 32 + i.to_bytes(4, "little")).digest())`.
#[test]
fn participants_stand_in_the_order_of_their_digests() {
    let (parameters, graph) = graph(300, 0.05, 0.05, 7);
    let ring = graph.ring.as_ref().unwrap();
    assert_eq!(ring.order[..8], FIRST);
    assert_eq!(ring.order[292..], LAST);
    let mut expected: Vec<u32> = ring.order[281..].iter().chain(&ring.order[1..20]).copied().collect();
    expected.sort_unstable();
    assert_eq!(neighbours(&graph, FIRST[0]), expected, "19 on either side");
    assert_eq!(parameters.degree(), 38);
    assert_eq!(graph.holders(FIRST[0]), expected);
    assert_eq!(graph.share_x(FIRST[0], FIRST[0]), None);
    for (holder, x) in expected.iter().zip(1..) {
        assert_eq!(graph.share_x(FIRST[0], *holder), Some(x));
    }
    assert!(neighbours(&graph, 300).is_empty() && graph.holders(300).is_empty());
    assert_ne!(graph, self::graph(300, 0.05, 0.05, 8).1, "another session, another ring");
}

#[test]
fn an_arc_that_is_cut_out_is_noticed_wherever_it_is() {
    let (parameters, graph) = graph(1_000, 0.1, 0.1, 3);
    let order = &graph.ring.as_ref().unwrap().order;
    let most = parameters.max_dead_in_window().unwrap();
    assert_eq!((order.len(), most), (1_000, 21));
    assert_eq!(graph.check_window(|_| false), Ok(()));
    for start in (0..1_000).step_by(37).chain([960, 999]) {
        let dead = |count: usize| {
            // Every second one, so that the window and not the arc decides: 22 in 43 places.
            (0..count).map(|nth| order[(start + 2 * nth) % 1_000]).collect::<BTreeSet<_>>()
        };
        let (believed, too_many) = (dead(21), dead(22));
        assert_eq!(graph.check_window(|index| believed.contains(&index)), Ok(()), "{start}");
        let error = graph.check_window(|index| too_many.contains(&index)).unwrap_err();
        assert_eq!((error.window, error.found, error.most), (48, 22, 21), "{start}");
    }
    let apart: BTreeSet<u32> = (0..1_000).step_by(3).map(|place| order[place]).collect();
    assert_eq!(graph.check_window(|index| apart.contains(&index)), Ok(()), "a third, but spread evenly");
}

fn reached(graph: &Graph, alive: impl Fn(u32) -> bool) -> BTreeSet<u32> {
    let start = (0..graph.participants).find(|index| alive(*index)).unwrap();
    let (mut seen, mut open) = (BTreeSet::from([start]), vec![start]);
    while let Some(u) = open.pop() {
        open.extend(graph.neighbours(u).filter(|v| alive(*v) && seen.insert(*v)));
    }
    seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_graph_is_symmetric_regular_and_connected(
        participants in prop_oneof![3_u32..=255, 256_u32..700], session: u8,
    ) {
        let (parameters, graph) = graph(participants, 0.1, 0.05, session);
        for u in 0..participants {
            let others = neighbours(&graph, u);
            prop_assert_eq!(others.len(), parameters.degree() as usize);
            prop_assert!(others.is_sorted_by(|one, two| one < two) && !others.contains(&u));
            let holders = graph.holders(u);
            prop_assert!(holders.is_sorted() && holders.len() >= parameters.threshold().into());
            prop_assert!(others.iter().all(|other| holders.binary_search(other).is_ok()));
            for v in others.into_iter().step_by(7) {
                prop_assert!(graph.neighbours(v).any(|back| back == u), "{} and {}", u, v);
            }
        }
        prop_assert_eq!(reached(&graph, |_| true).len(), participants as usize);
    }

    /// What the check lets through is still in one piece: `degree / 2` dead in a row would take to cut it.
    #[test]
    fn what_passes_the_check_is_in_one_piece(session: u8, dead in prop::collection::btree_set(0_u32..400, 0..200)) {
        let (_, graph) = graph(400, 0.1, 0.1, session);
        if graph.check_window(|index| dead.contains(&index)).is_ok() {
            let alive = |index| !dead.contains(&index);
            prop_assert_eq!(reached(&graph, alive).len(), 400 - dead.len());
        }
    }
}
