//! Convolution and pooling against loops written out here, and normalisation against its definition.

use cotangent::{
    Array, ConvOptions, DType, Error, Key, Padding, PoolOptions, Tensor, bernoulli, keep, normal,
    uniform,
};

fn draw(seed: u64, shape: &[usize]) -> Tensor {
    normal(&Key::new(seed), shape, DType::F64)
}

#[test]
fn a_transposed_convolution_is_the_transpose_of_the_convolution() -> Result<(), Error> {
    // Lengths at which the stride leaves a rest need that much output padding.
    for (n, k, stride, pad, dilation, groups) in [
        (7, 3, 1, 0, 1, 1),
        (8, 3, 2, 1, 1, 2),
        (9, 2, 3, 1, 2, 1),
        (11, 4, 2, 3, 1, 4),
        (10, 1, 4, 0, 1, 2),
    ] {
        let (channels, outputs) = (4, 8);
        let options = ConvOptions::default()
            .stride([stride])
            .padding([pad])
            .dilation([dilation])
            .groups(groups);
        let x = draw(1, &[2, channels, n]);
        let kernel = draw(2, &[outputs, channels / groups, k]);
        let y = x.conv(&kernel, &options);
        let reach = dilation * (k - 1) + 1;
        assert_eq!(
            y.shape()[..],
            [2, outputs, (n + 2 * pad - reach) / stride + 1]
        );
        let rest = (n + 2 * pad - reach) % stride;
        let c = draw(3, y.shape());
        let back = c.conv_transpose(&kernel, &options.output_padding([rest]));
        assert_eq!(back.shape(), x.shape());
        let (a, b) = (
            (y * &c).sum(..).item::<f64>()?,
            (x * back).sum(..).item::<f64>()?,
        );
        assert!((a - b).abs() < 1e-10, "{a} {b}");
    }
    Ok(())
}

#[test]
fn convolution_is_its_definition() -> Result<(), Error> {
    let (x, kernel) = (draw(1, &[1, 2, 5, 6]), draw(2, &[3, 2, 2, 3]));
    let padding = Padding::from([(1, 0), (2, 1)]);
    let options = ConvOptions::default()
        .stride([2, 1])
        .padding(padding)
        .dilation([1, 2]);
    let y = x.conv(&kernel, &options).to_array()?;
    let (x, kernel) = (x.to_array()?, kernel.to_array()?);
    assert_eq!(y.shape()[..], [1, 3, 3, 5]);
    for o in 0..3 {
        for i in 0..3_usize {
            for j in 0..5_usize {
                let mut sum = 0.0;
                for c in 0..2 {
                    for a in 0..2 {
                        for b in 0..3 {
                            let (row, column) =
                                ((2 * i + a).wrapping_sub(1), (j + 2 * b).wrapping_sub(2));
                            let there = x.get(&[0, c, row, column]).map_or(0.0, |s| s.to_f64());
                            sum += there * kernel.get(&[o, c, a, b]).map_or(0.0, |s| s.to_f64());
                        }
                    }
                }
                let found = y.get(&[0, o, i, j]).map_or(f64::NAN, |s| s.to_f64());
                assert!((found - sum).abs() < 1e-12, "{o} {i} {j}: {found} {sum}");
            }
        }
    }
    Ok(())
}

#[test]
fn same_padding_keeps_the_length_divided_by_the_stride() {
    for n in 1..9 {
        for (k, stride, dilation) in [(1, 1, 1), (2, 1, 1), (3, 2, 1), (3, 3, 2), (4, 5, 1)] {
            let options = ConvOptions::default()
                .stride([stride])
                .dilation([dilation])
                .padding(Padding::Same);
            let y = draw(1, &[1, 1, n]).conv(&draw(2, &[1, 1, k]), &options);
            assert_eq!(y.dim(-1), n.div_ceil(stride), "{n} {k} {stride} {dilation}");
        }
    }
}

/// The elements in a window, and how many places of it stand in the input or its padding.
type Window = (Vec<f64>, usize);

#[test]
fn pooling_is_its_definition() -> Result<(), Error> {
    for n in 3..10_usize {
        for (k, stride, pad, dilation, ceil) in [
            (2, 2, 0, 1, false),
            (2, 2, 1, 1, true),
            (3, 2, 1, 1, true),
            (3, 3, 1, 1, false),
            (2, 3, 1, 2, true),
            (3, 1, 0, 1, true),
        ] {
            let x = draw(n as u64, &[n]);
            let options = PoolOptions::default()
                .stride([stride])
                .padding([pad])
                .dilation([dilation])
                .ceil(ceil);
            let list = x.to_array()?.to_f64s();
            let reach = dilation * (k - 1) + 1;
            let room = n + 2 * pad - reach;
            let mut count = if ceil {
                room.div_ceil(stride)
            } else {
                room / stride
            } + 1;
            if ceil && (count - 1) * stride >= n + pad {
                count -= 1;
            }
            // The places of each window in the input, and how many stand in input or padding.
            let windows: Vec<Window> = (0..count)
                .map(|w| {
                    let places = (0..k).map(|i| w * stride + i * dilation);
                    let inside = places.clone().filter_map(|p| list.get(p.wrapping_sub(pad)));
                    (
                        inside.copied().collect(),
                        places.filter(|p| *p < n + 2 * pad).count(),
                    )
                })
                .collect();
            let expect = |f: &dyn Fn(&Window) -> f64| -> Array {
                windows.iter().map(f).collect::<Vec<f64>>().into()
            };
            let sum = |w: &[f64]| w.iter().sum::<f64>();
            let case = format!("{n} {k} {stride} {pad} {dilation} {ceil}");
            let max = expect(&|(w, _)| w.iter().copied().fold(f64::NEG_INFINITY, f64::max));
            assert_eq!(x.max_pool([k], &options).to_array()?, max, "{case}");
            close(&case, x.sum_pool([k], &options), expect(&|(w, _)| sum(w)))?;
            close(
                &case,
                x.avg_pool([k], &options),
                expect(&|(w, all)| sum(w) / *all as f64),
            )?;
            let bare = options.count_include_pad(false);
            close(
                &case,
                x.avg_pool([k], &bare),
                expect(&|(w, _)| sum(w) / w.len() as f64),
            )?;
        }
    }
    Ok(())
}

#[test]
fn normalised_tensors_have_mean_0_and_variance_1() -> Result<(), Error> {
    let x = draw(1, &[4, 6, 5]) * 3.0 + 7.0;
    let (batch, mean, var) = x.batch_norm(0.0);
    for (name, y, axes) in [
        ("layer", x.layer_norm([1, 2], 0.0), vec![1, 2]),
        ("batch", batch.clone(), vec![0, 2]),
        ("instance", x.group_norm(6, 0.0), vec![2]),
        (
            "group",
            x.group_norm(2, 0.0).reshape([4, 2, 3, 5]),
            vec![2, 3],
        ),
    ] {
        let means = y.mean(&axes).abs().max(..).item::<f64>()?;
        let vars = (y.var(&axes) - 1.0).abs().max(..).item::<f64>()?;
        assert!(means < 1e-12 && vars < 1e-12, "{name}: {means} {vars}");
    }
    close(
        "given",
        x.batch_norm_with(&mean, &var, 0.0),
        batch.to_array()?,
    )?;
    close("mean", mean, x.mean([0, 2]).to_array()?)?;
    let r = x.rms_norm(-1, 0.0).square().mean(keep(-1));
    close("rms", r, Array::from(vec![1.0; 24]).reshape([4, 6, 1])?)
}

#[test]
fn random_numbers_have_their_distribution_and_their_key() -> Result<(), Error> {
    let key = Key::new(5);
    for dtype in [DType::F64, DType::F32] {
        let u = uniform(&key, [20_000], dtype).convert(DType::F64);
        assert!(u.min(..).item::<f64>()? >= 0.0 && u.max(..).item::<f64>()? < 1.0);
        assert!((u.mean(..).item::<f64>()? - 0.5).abs() < 0.01);
        assert!((u.var(..).item::<f64>()? - 1.0 / 12.0).abs() < 0.002);
        let z = normal(&key, [20_001], dtype).convert(DType::F64);
        assert!(z.is_finite().all(..).item::<bool>()?);
        assert!(z.mean(..).item::<f64>()?.abs() < 0.02);
        assert!((z.std(..).item::<f64>()? - 1.0).abs() < 0.02);
        let beyond = z
            .abs()
            .greater(1.959_964)
            .convert(DType::F64)
            .mean(..)
            .item::<f64>()?;
        assert!((beyond - 0.05).abs() < 0.006, "{beyond}");
    }
    let p = bernoulli(&key, 0.3, [20_000])
        .convert(DType::F64)
        .mean(..)
        .item::<f64>()?;
    assert!((p - 0.3).abs() < 0.01, "{p}");
    // Every way of making a key gives another one.
    let [a, b] = key.split();
    let mut keys = vec![
        key.clone(),
        a,
        b,
        key.fold_in(0),
        key.fold_in(1),
        Key::new(6),
    ];
    keys.extend(key.split_many(3).into_iter().skip(2));
    let mut seen = Vec::new();
    for k in &keys {
        let words = k.0.to_array()?.to_vec::<u32>()?;
        assert!(!seen.contains(&words), "{words:?}");
        seen.push(words);
    }
    // The first of many is the first of two.
    let [a, _] = key.split();
    assert_eq!(a.0.to_array()?, key.split_many(5)[0].0.to_array()?);
    Ok(())
}

fn close(name: &str, found: Tensor, expected: Array) -> Result<(), Error> {
    let found = found.to_array()?;
    assert_eq!(found.shape(), expected.shape(), "{name}");
    for (a, b) in found.to_f64s().into_iter().zip(expected.to_f64s()) {
        assert!(
            (a - b).abs() <= 1e-12 * (1.0 + b.abs()),
            "{name}: {found:?} {expected:?}"
        );
    }
    Ok(())
}

#[test]
fn a_window_longer_than_the_input_counts_when_it_sticks_out_by_less_than_a_step()
-> Result<(), Error> {
    let x = Tensor::from([1.0, 2.0]);
    let options = PoolOptions::default().stride([2]).ceil(true);
    assert_eq!(x.max_pool([3], &options).to_array()?, [2.0].into());
    assert_eq!(x.avg_pool([3], &options).to_array()?, [1.5].into());
    let empty = x.max_pool([4], &options).to_array();
    assert!(empty.is_err() || empty.is_ok_and(|a| a.is_empty()));
    Ok(())
}
