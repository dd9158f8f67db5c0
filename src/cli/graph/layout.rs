//! Where each step stands in a picture: in columns, each step left of all that use it, with few crossings (after Sugiyama, Tagawa
//! and Toda, "Methods for Visual Understanding of Hierarchical System Structures", 1981).

use super::Graph;

/// How often the order in columns is made better.
const SWEEPS: usize = 6;

/// Where steps stand. Distances are in rows and columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    /// For each step its column, from 0 on the left, and its row.
    pub places: Vec<(usize, f64)>,
    /// For each edge who is needed, who needs it, and the rows that it passes in the columns between the two.
    pub edges: Vec<(usize, usize, Vec<f64>)>,
    /// How many columns there are.
    pub columns: usize,
    /// How many rows.
    pub rows: f64,
}

/// What takes a place: a step, or an edge on its way through a column. Neighbours are places in the list of all.
#[derive(Clone, Debug, Default)]
struct Spot {
    column: usize,
    /// How many rows it takes.
    size: f64,
    left: Vec<usize>,
    right: Vec<usize>,
}

/// An edge on its way needs less room than a step.
const THIN: f64 = 0.35;

impl Picture {
    /// Places all steps of a graph; none when there would be more than `most` steps and edges on their way.
    pub fn of(graph: &Graph, most: usize) -> Option<Self> {
        let columns = columns(graph);
        let count = columns.iter().max().map_or(0, |last| last + 1);
        let mut spots: Vec<Spot> =
            columns.iter().map(|&column| Spot { column, size: 1.0, ..Spot::default() }).collect();
        let mut edges = Vec::new();
        for (user, node) in graph.nodes.iter().enumerate() {
            for &need in &node.needs {
                let mut way = vec![need];
                for column in columns[need] + 1..columns[user] {
                    way.push(spots.len());
                    spots.push(Spot { column, size: THIN, ..Spot::default() });
                }
                way.push(user);
                for pair in way.windows(2) {
                    spots[pair[0]].right.push(pair[1]);
                    spots[pair[1]].left.push(pair[0]);
                }
                if spots.len() > most {
                    return None;
                }
                edges.push((need, user, way[1..way.len() - 1].to_vec()));
            }
        }
        if spots.len() > most {
            return None;
        }
        let order = order(&spots, count);
        let rows = rows(&spots, &order);
        let lowest = (0..spots.len()).map(|spot| rows[spot] - spots[spot].size / 2.0).fold(f64::INFINITY, f64::min);
        let highest = (0..spots.len()).map(|spot| rows[spot] + spots[spot].size / 2.0).fold(0.0, f64::max);
        let row = |spot: usize| rows[spot] - lowest;
        Some(Self {
            places: (0..graph.nodes.len()).map(|node| (columns[node], row(node))).collect(),
            edges: edges
                .into_iter()
                .map(|(need, user, way)| (need, user, way.into_iter().map(row).collect()))
                .collect(),
            columns: count,
            rows: if spots.is_empty() { 0.0 } else { highest - lowest },
        })
    }
}

/// The column of each step: as far to the right as those allow that use it.
fn columns(graph: &Graph) -> Vec<usize> {
    let users = graph.users();
    let mut back = vec![0; graph.nodes.len()];
    for place in (0..graph.nodes.len()).rev() {
        back[place] = users[place].iter().map(|&user| back[user] + 1).max().unwrap_or(0);
    }
    let most = back.iter().max().copied().unwrap_or(0);
    back.into_iter().map(|back| most - back).collect()
}

/// The spots of each column, from the top down.
fn order(spots: &[Spot], columns: usize) -> Vec<Vec<usize>> {
    let mut order = vec![Vec::new(); columns];
    // From what is used by none backwards, so that what belongs together begins together.
    let mut seen = vec![false; spots.len()];
    let ends = (0..spots.len()).filter(|&spot| spots[spot].right.is_empty());
    for end in ends {
        let mut stack = vec![end];
        while let Some(spot) = stack.pop() {
            if !std::mem::replace(&mut seen[spot], true) {
                order[spots[spot].column].push(spot);
                stack.extend(spots[spot].left.iter().rev());
            }
        }
    }
    let mut best = (crossings(spots, &order), order.clone());
    for sweep in 0..SWEEPS {
        let leftwards = sweep % 2 == 0;
        for step in 1..columns {
            let column = if leftwards { columns - 1 - step } else { step };
            let mut place = vec![0.0; spots.len()];
            for spots in &order {
                spots.iter().enumerate().for_each(|(at, &spot)| place[spot] = at as f64);
            }
            let wish = |spot: usize| {
                let neighbours = if leftwards { &spots[spot].right } else { &spots[spot].left };
                mean(neighbours.iter().map(|&other| place[other])).unwrap_or(place[spot])
            };
            let mut wishes: Vec<(f64, usize)> = order[column].iter().map(|&spot| (wish(spot), spot)).collect();
            wishes.sort_by(|a, b| a.0.total_cmp(&b.0));
            order[column] = wishes.into_iter().map(|(_, spot)| spot).collect();
        }
        let now = crossings(spots, &order);
        if now < best.0 {
            best = (now, order.clone());
        }
    }
    best.1
}

/// How many pairs of edges cross between neighbouring columns.
fn crossings(spots: &[Spot], order: &[Vec<usize>]) -> u64 {
    let mut place = vec![0; spots.len()];
    for column in order {
        column.iter().enumerate().for_each(|(at, &spot)| place[spot] = at);
    }
    let mut count = 0;
    for pair in order.windows(2) {
        // Edges from the top down; each crosses those before it that end below it, which a Fenwick tree counts.
        let mut tree = vec![0_u64; pair[1].len() + 1];
        let mut sum = 0;
        for &spot in &pair[0] {
            let mut ends: Vec<usize> = spots[spot].right.iter().map(|&other| place[other]).collect();
            ends.sort_unstable();
            for &end in &ends {
                let mut not_below = 0;
                let mut at = end + 1;
                while at > 0 {
                    not_below += tree[at];
                    at &= at - 1;
                }
                count += sum - not_below;
            }
            for end in ends {
                sum += 1;
                let mut at = end + 1;
                while at < tree.len() {
                    tree[at] += 1;
                    at += at & at.wrapping_neg();
                }
            }
        }
    }
    count
}

/// The row of each spot's middle: near its neighbours, in the order of its column, without overlaps.
fn rows(spots: &[Spot], order: &[Vec<usize>]) -> Vec<f64> {
    let mut rows = vec![0.0; spots.len()];
    for column in order {
        let mut top = 0.0;
        for &spot in column {
            rows[spot] = top + spots[spot].size / 2.0;
            top += spots[spot].size;
        }
    }
    for sweep in 0..SWEEPS {
        let columns: Vec<usize> =
            if sweep % 2 == 0 { (0..order.len()).rev().collect() } else { (0..order.len()).collect() };
        for column in columns {
            let wishes: Vec<f64> = (order[column].iter())
                .map(|&spot| {
                    let neighbours = spots[spot].left.iter().chain(&spots[spot].right);
                    mean(neighbours.map(|&other| rows[other])).unwrap_or(rows[spot])
                })
                .collect();
            let sizes: Vec<f64> = order[column].iter().map(|&spot| spots[spot].size).collect();
            for (&spot, row) in order[column].iter().zip(apart(&wishes, &sizes)) {
                rows[spot] = row;
            }
        }
    }
    rows
}

/// The places nearest to what is wished, in the same order and without overlaps: least squares, by pooling neighbours that are
/// too close (isotonic regression).
fn apart(wishes: &[f64], sizes: &[f64]) -> Vec<f64> {
    // Measured from where each would stand if all stood close together, they must only not decrease.
    let mut offsets = Vec::with_capacity(sizes.len());
    let mut top = 0.0;
    for size in sizes {
        offsets.push(top + size / 2.0);
        top += size;
    }
    let mut blocks: Vec<(f64, usize)> = Vec::new();
    for (wish, offset) in wishes.iter().zip(&offsets) {
        let mut block = (wish - offset, 1);
        while let Some(&(before, count)) = blocks.last()
            && before > block.0
        {
            blocks.pop();
            let all = count + block.1;
            block = ((before * count as f64 + block.0 * block.1 as f64) / all as f64, all);
        }
        blocks.push(block);
    }
    let places = blocks.into_iter().flat_map(|(place, count)| std::iter::repeat_n(place, count));
    places.zip(offsets).map(|(place, offset)| place + offset).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0_u32, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::super::graph;
    use super::*;

    #[test]
    fn columns_and_ways() {
        // a.o goes into the archive and past it into the link.
        let graph = graph(&[("compile", "a.o", &[]), ("archive", "l.a", &[0]), ("link", "app", &[0, 1])]);
        let picture = Picture::of(&graph, 100).unwrap();
        assert_eq!(picture.places.iter().map(|(column, _)| *column).collect::<Vec<_>>(), [0, 1, 2]);
        let ways: Vec<_> = picture.edges.iter().map(|(need, user, way)| (*need, *user, way.len())).collect();
        assert_eq!(ways, [(0, 1, 0), (0, 2, 1), (1, 2, 0)]);
        assert!((picture.edges[1].2[0] - picture.places[1].1).abs() >= (1.0 + THIN) / 2.0 - 1e-9, "{picture:?}");
        assert_eq!(Picture::of(&graph, 3), None);
        assert_eq!(Picture::of(&super::Graph::default(), 3), Some(Picture::default()));
    }

    #[test]
    fn nothing_crosses_that_need_not() {
        let graph = graph(&[
            ("compile", "1", &[]),
            ("compile", "2", &[]),
            ("compile", "3", &[]),
            ("compile", "4", &[]),
            ("archive", "x", &[0, 3]),
            ("archive", "y", &[1, 2]),
            ("link", "app", &[4, 5]),
        ]);
        let picture = Picture::of(&graph, 100).unwrap();
        let row = |node: usize| picture.places[node].1;
        let above = row(4) < row(5);
        for (x, y) in [(0, 1), (0, 2), (3, 1), (3, 2)] {
            assert_eq!(row(x) < row(y), above, "{picture:?}");
        }
        let mut left: Vec<f64> = (0..4).map(row).collect();
        left.sort_by(f64::total_cmp);
        assert!(left.windows(2).all(|pair| pair[1] - pair[0] >= 1.0 - 1e-9), "{left:?}");
        assert!((picture.rows - 4.0).abs() < 1e-9, "{picture:?}");
    }

    #[test]
    fn crossings_are_counted() {
        let spot = |column, left: &[usize], right: &[usize]| Spot {
            column,
            size: 1.0,
            left: left.to_vec(),
            right: right.to_vec(),
        };
        let spots = [spot(0, &[], &[2, 3]), spot(0, &[], &[2, 3]), spot(1, &[0, 1], &[]), spot(1, &[0, 1], &[])];
        assert_eq!(crossings(&spots, &[vec![0, 1], vec![2, 3]]), 1);
    }

    #[test]
    fn what_is_wished_as_nearly_as_can_be() {
        assert_eq!(apart(&[0.0, 5.0], &[1.0, 1.0]), [0.0, 5.0]);
        assert_eq!(apart(&[2.0, 2.0], &[1.0, 1.0]), [1.5, 2.5]);
        assert_eq!(apart(&[3.0, 1.0, 9.0], &[1.0, 1.0, 1.0]), [1.5, 2.5, 9.0]);
    }
}
