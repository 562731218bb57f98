use std::{
    num::NonZero,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

/// Works on blocks on so many cores, and takes the results in the order of the blocks.
///
/// A worker is at most one block ahead of what is taken, so that memory is a few blocks a core. Each has a scratch of
/// its own, made once; the scratches come back when all is done, as what a worker gathered may be needed.
///
/// # Errors
/// The first error of a block or of taking one.
pub(super) fn in_order<S: Send, T: Send, E: Send>(
    cores: NonZero<usize>,
    blocks: u64,
    scratch: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, u64) -> Result<T, E> + Sync,
    mut take: impl FnMut(T) -> Result<(), E>,
) -> Result<Vec<S>, E> {
    let cores = cores.get();
    let workers = usize::try_from(blocks).unwrap_or(cores).clamp(1, cores);
    let (scratch, work) = (&scratch, &work);
    thread::scope(|scope| {
        let start = |first: usize| {
            let (results, receiver) = sync_channel(1);
            let run = move || {
                let mut scratch = scratch();
                run(&mut scratch, work, (first as u64..blocks).step_by(workers), &results);
                scratch
            };
            (receiver, scope.spawn(run))
        };
        let (receivers, threads): (Vec<_>, Vec<_>) = (0..workers).map(start).unzip();
        // With the receivers the workers lose their reason to go on.
        take_all(blocks, receivers, &mut take)?;
        let join = |thread: thread::ScopedJoinHandle<'_, S>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        Ok(threads.into_iter().map(join).collect())
    })
}

fn run<S, T, E>(
    scratch: &mut S,
    work: &impl Fn(&mut S, u64) -> Result<T, E>,
    blocks: impl Iterator<Item = u64>,
    results: &SyncSender<Result<T, E>>,
) {
    for block in blocks {
        let result = work(scratch, block);
        let failed = result.is_err();
        if results.send(result).is_err() || failed {
            return;
        }
    }
}

fn take_all<T, E>(
    blocks: u64,
    receivers: Vec<Receiver<Result<T, E>>>,
    take: &mut impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let mut turns = receivers.iter().cycle();
    for _ in 0..blocks {
        // A worker that panicked sends nothing more; joining it says why.
        let Some(Ok(result)) = turns.next().map(Receiver::recv) else { break };
        take(result?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORES: NonZero<usize> = NonZero::<usize>::MIN.saturating_add(2);

    #[test]
    fn results_come_in_order_and_every_scratch_comes_back() {
        let mut taken = Vec::new();
        let work = |count: &mut u64, block: u64| {
            *count += 1;
            Ok::<_, ()>(block * block)
        };
        let counts = in_order(
            CORES,
            1_000,
            || 0,
            work,
            |result| {
                taken.push(result);
                Ok(())
            },
        );
        assert_eq!(taken, (0..1_000).map(|block| block * block).collect::<Vec<u64>>());
        assert_eq!(counts.unwrap().iter().sum::<u64>(), 1_000);
    }

    #[test]
    fn the_first_error_ends_the_work() {
        let work = |(): &mut (), block| if block == 7 { Err(block) } else { Ok(block) };
        let mut taken = 0;
        let result = in_order(
            CORES,
            1_000,
            || (),
            work,
            |_| {
                taken += 1;
                Ok(())
            },
        );
        assert_eq!((result.unwrap_err(), taken), (7, 7));
        assert_eq!(in_order(CORES, 1_000, || (), |(), block| Ok(block), Err).unwrap_err(), 0);
    }
}
