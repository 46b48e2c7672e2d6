//! Greedy placements: buffers in some order, each into the lowest or the tightest gap.

use super::Buffer;

/// The best of several greedy placements, and its height; stops at the first that is low enough.
pub(super) fn place(buffers: &[Buffer], enough: u64) -> (Vec<u64>, u64) {
    let area = |b: &Buffer| u128::from(b.size) * u128::from(b.end - b.first);
    let width = |b: &Buffer| b.end - b.first;
    type Rank<'a> = Box<dyn Fn(&Buffer) -> (u128, u128) + 'a>;
    let down = |n: u128| u128::MAX - n;
    let ranks: [Rank; 5] = [
        Box::new(|b| (down(area(b)), down(b.size.into()))),
        Box::new(|b| (down(b.size.into()), down(width(b).into()))),
        Box::new(|b| (down(width(b).into()), down(b.size.into()))),
        Box::new(|b| (b.first.into(), down(b.size.into()))),
        Box::new(|b| (b.end.into(), down(b.size.into()))),
    ];
    let mut best: Option<(Vec<u64>, u64)> = None;
    for rank in &ranks {
        let mut order: Vec<usize> = (0..buffers.len()).collect();
        order.sort_by_key(|i| rank(&buffers[*i]));
        for tightest in [false, true] {
            let placed = in_order(buffers, &order, tightest);
            if best.as_ref().is_none_or(|(_, height)| placed.1 < *height) {
                best = Some(placed);
            }
            if best.as_ref().is_some_and(|(_, height)| *height <= enough) {
                break;
            }
        }
        if best.as_ref().is_some_and(|(_, height)| *height <= enough) {
            break;
        }
    }
    best.unwrap_or_default()
}

fn in_order(buffers: &[Buffer], order: &[usize], tightest: bool) -> (Vec<u64>, u64) {
    let mut offsets = vec![0_u64; buffers.len()];
    let mut height = 0;
    // What is placed, by offset, so that gaps are met from below.
    let mut placed: Vec<(u64, usize)> = Vec::with_capacity(buffers.len());
    for &i in order {
        let b = &buffers[i];
        let mut at = None;
        let mut slack = u64::MAX;
        let mut top = 0;
        if b.first < b.end && b.size > 0 {
            for &(offset, j) in &placed {
                let other = &buffers[j];
                if other.first.max(b.first) >= other.end.min(b.end) {
                    continue;
                }
                let gap = offset.saturating_sub(top);
                if offset >= top && gap >= b.size && gap - b.size < slack {
                    (at, slack) = (Some(top), gap - b.size);
                    if !tightest {
                        break;
                    }
                }
                top = top.max(offset + other.size);
            }
            let offset = at.unwrap_or(top);
            offsets[i] = offset;
            height = height.max(offset + b.size);
            let position = placed.partition_point(|p| *p < (offset, i));
            placed.insert(position, (offset, i));
        }
    }
    (offsets, height)
}
