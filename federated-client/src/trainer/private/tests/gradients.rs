use std::num::NonZeroUsize;

use burn::nn::{PaddingConfig2d, conv::Conv2dConfig};
use federated_core::privacy::dp::ClipNorm;

use super::{
    super::{ClippedGradients, GradientMethod, PrivateModule},
    models::{Cpu, Dense, Digits, Images, Table, Words},
};
use crate::dataset::TabularBatch;

const AT_ONCE: GradientMethod = GradientMethod::Ghost { at_once: NonZeroUsize::new(5).unwrap() };

/// The clipped sum over examples, and the lengths of their gradients.
fn summed<M>(
    module: &M,
    table: &Table,
    clip: f64,
    method: GradientMethod,
    which: &[usize],
) -> (Vec<f64>, Vec<f64>)
where
    M: PrivateModule<Cpu, Batch = TabularBatch<Cpu>>,
{
    let mut sum = ClippedGradients::new(module, ClipNorm::new(clip).unwrap(), method).unwrap();
    let norms = sum.add_with_norms(module, table, which, &Default::default()).unwrap();
    (sum.values().to_vec(), norms)
}

fn length(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

/// Both ways agree to 1e-5 of the sum's length and of each gradient's, when all are clipped, some, or none.
fn agree<M>(what: &str, module: &M, table: &Table, examples: usize)
where
    M: PrivateModule<Cpu, Batch = TabularBatch<Cpu>>,
{
    let which: Vec<usize> = (0..examples).collect();
    let (_, mut norms) = summed(module, table, 1.0, GradientMethod::Exact, &which);
    norms.sort_by(f64::total_cmp);
    assert!(norms[0] > 0.0);
    for clip in [norms[0] / 3.0, norms[norms.len() / 2], norms[norms.len() - 1] * 2.0] {
        let (exact, lengths) = summed(module, table, clip, GradientMethod::Exact, &which);
        let (ghost, ghosts) = summed(module, table, clip, AT_ONCE, &which);
        let difference = length(exact.iter().zip(&ghost).map(|(exact, ghost)| exact - ghost));
        let relative = difference / length(exact.iter().copied());
        assert!(relative < 1e-5, "{what}, clip {clip}: sums differ by {relative:e}");
        for (exact, ghost) in lengths.iter().zip(&ghosts) {
            assert!((exact - ghost).abs() < 1e-5 * exact, "{what}: length {exact}, at once {ghost}");
        }
        for example in &which {
            for method in [GradientMethod::Exact, AT_ONCE] {
                let (one, _) = summed(module, table, clip, method, &[*example]);
                let found = length(one.into_iter());
                assert!(found <= clip, "{what}, {method:?}: clipped to {clip}, and {found} long");
            }
        }
    }
}

#[test]
fn linear_layers_clip_at_once_as_one_by_one() {
    agree("with bias", &Dense::new(1, true), &Table::new(1, 11, 12), 11);
    agree("without", &Dense::new(2, false), &Table::new(2, 5, 12), 5);
}

#[test]
fn convolutions_and_group_normalisation_clip_at_once_as_one_by_one() {
    let conv = |from, to| Conv2dConfig::new([from, to], [3, 2]);
    let same = |config: Conv2dConfig| config.with_padding(PaddingConfig2d::Same);
    let shapes = [
        ("valid", conv(2, 4), conv(4, 3)),
        ("same", same(conv(2, 4)), same(conv(4, 6))),
        ("explicit", conv(2, 4).with_padding(PaddingConfig2d::Explicit(1, 2, 0, 1)), conv(4, 3)),
        ("strided", conv(2, 4).with_stride([2, 3]), same(conv(4, 3)).with_stride([1, 2])),
        ("dilated", conv(2, 4).with_dilation([2, 1]), conv(4, 3).with_dilation([1, 2])),
        ("grouped", same(conv(2, 4)).with_groups(2), conv(4, 8).with_groups(4)),
        (
            "all",
            conv(2, 4).with_groups(2).with_stride([2, 1]).with_dilation([1, 2]),
            conv(4, 2).with_groups(2),
        ),
        ("of one pixel", Conv2dConfig::new([2, 4], [1, 1]), conv(4, 3)),
        ("with few places", conv(2, 16).with_stride([3, 3]), conv(16, 24).with_bias(false)),
        ("with few places, the same", conv(2, 8).with_stride([2, 3]), same(conv(8, 24)).with_stride([2, 2])),
    ];
    for (what, first, second) in shapes {
        agree(what, &Images::new(3, first, second), &Table::new(3, 7, 144), 7);
    }
}

#[test]
fn embeddings_layer_normalisation_and_sequences_clip_at_once_as_one_by_one() {
    for width in [2, 4, 24] {
        agree("words", &Words::new(4, width), &Table::new(4, 9, 6), 9);
    }
}

#[test]
fn the_network_for_digits_clips_at_once_as_one_by_one() {
    agree("digits", &Digits::new(5), &Table::new(5, 3, 784), 3);
}

#[test]
fn no_example_and_one_example_are_batches_too() {
    let (module, table) = (Dense::<Cpu>::new(6, true), Table::new(6, 4, 12));
    for method in [GradientMethod::Exact, AT_ONCE] {
        let (sum, norms) = summed(&module, &table, 1.0, method, &[]);
        assert!(
            norms.is_empty() && sum.len() == 12 * 7 + 7 + 7 * 3 + 3 && sum.iter().all(|value| *value == 0.0)
        );
        let (sum, norms) = summed(&module, &table, 1e-3, method, &[2]);
        assert!(norms.len() == 1 && (length(sum.into_iter()) - 1e-3).abs() < 1e-6);
    }
}

/// With no bias and an input of zeros every layer's gradient is zero but that of nothing.
#[test]
fn an_example_whose_gradient_is_zero_adds_nothing() {
    let (module, mut table) = (Dense::<Cpu>::new(7, false), Table::new(7, 4, 12));
    table.values[12..24].fill(0.0);
    for method in [GradientMethod::Exact, AT_ONCE] {
        let (with, norms) = summed(&module, &table, 0.5, method, &[0, 1, 2]);
        let (without, _) = summed(&module, &table, 0.5, method, &[0, 2]);
        assert!(norms[1] < 1e-30);
        assert!(length(with.iter().zip(&without).map(|(one, other)| one - other)) < 1e-6);
    }
}

#[test]
fn a_gradient_that_is_not_finite_is_refused_and_not_clipped() {
    let module = Dense::<Cpu>::new(8, true);
    for value in [f32::NAN, f32::INFINITY] {
        let mut table = Table::new(8, 4, 12);
        table.values[17] = value;
        for method in [GradientMethod::Exact, AT_ONCE] {
            let mut sum = ClippedGradients::new(&module, ClipNorm::new(1.0).unwrap(), method).unwrap();
            let error = sum.add(&module, &table, &[0, 1, 2], &Default::default()).unwrap_err();
            assert!(error.to_string().contains("is not finite"), "{error}");
        }
    }
}
