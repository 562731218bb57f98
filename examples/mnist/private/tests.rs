use federated_core::privacy::dp::{Delta, Epsilon};

use super::*;
use crate::mnist::idx::Images;

/// Images of 28 x 28, each with a bright row at the place of its digit.
fn images(count: u16) -> Images {
    let digit = |number: u16| (number * 7 % 10) as u8;
    let header = |kind: u8| [&[0, 0, 8, kind][..], &u32::from(count).to_be_bytes()].concat();
    let size = 28_u32.to_be_bytes();
    let mut pixels = [header(3), size.to_vec(), size.to_vec()].concat();
    for number in 0..count {
        let row = usize::from(digit(number)) * 2 + 4;
        pixels.extend((0..PIXELS).map(|place| if place / 28 == row { 255 } else { (place * 53 % 90) as u8 }));
    }
    Images::parse(&pixels, &[header(1), (0..count).map(digit).collect()].concat()).unwrap()
}

fn target(epsilon: f64) -> Target {
    Target { epsilon: Epsilon::new(epsilon).unwrap(), delta: Delta::new(1e-5).unwrap() }
}

#[test]
fn the_noise_follows_from_the_budget_and_the_number_of_images_alone() {
    let numbers = |epsilon| Recipe::PUBLISHED.numbers(target(epsilon), 60_000).unwrap();
    let (tight, loose) = (numbers(1.2), numbers(7.1));
    assert_eq!((tight.steps.get(), tight.sampling_rate.get()), (118, 512.0 / 60_000.0));
    assert!(tight.noise_multiplier.get() > 2.0 * loose.noise_multiplier.get());
}

#[test]
fn a_site_spends_what_was_asked_and_says_so() {
    let data = Data { train: images(300), test: images(40) };
    let recipe =
        Recipe { epochs: 4.try_into().unwrap(), batch: 100.try_into().unwrap(), ..Recipe::PUBLISHED };
    let mut seen = Vec::new();
    let run = train_privately(&data, target(3.0), &recipe, 1, |pass, accuracy| seen.push((pass, accuracy)))
        .unwrap();
    assert!(run.spent.epsilon <= 3.0 && run.spent.epsilon > 2.9, "{}", run.spent.epsilon);
    assert!(run.accountants.epsilon_rdp >= run.spent.epsilon && !run.work.simulated);
    assert_eq!((run.steps, seen.len(), run.accuracies.len()), (12, 4, 4));
    assert!(run.text().contains("12 steps in 4 tasks, Poisson batches of 100 on average"), "{}", run.text());
}

#[test]
fn the_network_has_the_published_size() {
    assert_eq!(extract(&DigitReader::<Flex>::new(1)).unwrap().layout().elements(), 26_010);
}

#[test]
fn a_budget_is_read_as_it_is_written() {
    assert_eq!("epsilon=1.2".parse::<Budget>().unwrap().epsilon.get(), 1.2);
    for bad in
        ["", "1.2", "epsilon", "epsilon=", "epsilon=0", "epsilon=-1", "epsilon=NaN", "epsilon=inf", "delta=1"]
    {
        assert!(bad.parse::<Budget>().is_err(), "{bad}");
    }
}
