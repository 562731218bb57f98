//! What an encoding of updates costs and saves: the table in which examples compare several.

use federated_core::compression::{Codec, Encoding};

use crate::figure::Figure;

/// The table of a job file that asks for this encoding.
pub(crate) fn job_table(Encoding { codec, zstd }: Encoding) -> String {
    let codec = match codec {
        Codec::F32 => "\"none\"".to_owned(),
        Codec::TopK(fraction) => {
            format!("\"top-k\"\nfraction = {:?}", f64::from(fraction.millionths()) / 1e6)
        }
        _ => format!("\"{}\"", Encoding::new(codec)),
    };
    format!("[compression]\ncodec = {codec}\nzstd = {zstd}\n")
}

/// What training reached with one encoding.
#[derive(Clone, Debug)]
pub(crate) struct Compared {
    /// How updates travelled.
    pub(crate) encoding: Encoding,
    /// The last model's accuracy with each seed, 0 to 1. All encodings have the same seeds in the same order.
    pub(crate) accuracy: Vec<f64>,
    /// Bytes of updates with each seed.
    pub(crate) bytes_up: Vec<u64>,
}

/// The encodings as a table in Markdown, each against the first.
///
/// Differences of accuracy are taken seed by seed; ± is the sample's standard deviation over seeds.
pub(crate) fn table(all: &[Compared]) -> String {
    let mut out = "| updates | accuracy, % | difference, points | bytes of updates | share, % |\n".to_owned();
    out += "|---|---|---|---|---|\n";
    let Some(first) = all.first() else { return out };
    for (index, compared) in all.iter().enumerate() {
        let percent: Vec<f64> = compared.accuracy.iter().map(|accuracy| 100.0 * accuracy).collect();
        let pairs = compared.accuracy.iter().zip(&first.accuracy);
        let differences: Vec<f64> = pairs.map(|(here, there)| 100.0 * (here - there)).collect();
        let difference = if index == 0 { String::new() } else { shown(&differences, true) };
        let (bytes, plain) = (mean(&compared.bytes_up), mean(&first.bytes_up));
        let (encoding, accuracy) = (compared.encoding, shown(&percent, false));
        let share = 100.0 * bytes / plain;
        out += &format!("| {encoding} | {accuracy} | {difference} | {bytes:.0} | {share:.2} |\n");
    }
    out
}

fn mean(bytes: &[u64]) -> f64 {
    bytes.iter().sum::<u64>() as f64 / bytes.len() as f64
}

fn shown(numbers: &[f64], signed: bool) -> String {
    let Some(Figure { mean, deviation }) = Figure::of(numbers) else { return String::new() };
    let mean = if signed { format!("{mean:+.2}") } else { format!("{mean:.2}") };
    deviation.map_or_else(|| mean.clone(), |deviation| format!("{mean} ± {deviation:.2}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(encoding: &str, accuracy: &[f64], bytes_up: &[u64]) -> Compared {
        Compared {
            encoding: encoding.parse().unwrap(),
            accuracy: accuracy.to_vec(),
            bytes_up: bytes_up.to_vec(),
        }
    }

    #[test]
    fn encodings_are_held_against_the_first_seed_by_seed() {
        let plain = compared("f32", &[0.5, 0.75], &[1000, 1000]);
        let short = compared("top-k:0.01+zstd", &[0.495, 0.745], &[10, 12]);
        assert_eq!(
            table(&[plain, short]),
            "| updates | accuracy, % | difference, points | bytes of updates | share, % |\n\
             |---|---|---|---|---|\n\
             | f32 | 62.50 ± 17.68 |  | 1000 | 100.00 |\n\
             | top-k:0.01+zstd | 62.00 ± 17.68 | -0.50 ± 0.00 | 11 | 1.10 |\n"
        );
    }

    #[test]
    fn one_seed_has_no_deviation() {
        let table = table(&[compared("int8", &[0.9876], &[4])]);
        assert!(table.ends_with("| int8 | 98.76 |  | 4 | 100.00 |\n"), "{table}");
    }
}
