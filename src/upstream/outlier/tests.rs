//! Who is judged slow, and how often rightly, in fleets whose noise a seed determines.

use super::*;
use crate::upstream::draw::Draws;

/// Requests in a window of a backend with its full share: just enough to be judged.
const REQUESTS: u32 = 20;
/// Windows in an hour.
const HOUR: f64 = 1_800.0;

fn settings() -> config::Outlier {
    config::Outlier::default()
}

#[expect(clippy::unnecessary_wraps, reason = "what a window holds")]
fn sample(requests: u32, millis: f64) -> Option<Sample> {
    Some(Sample {
        requests,
        mean: millis * 1e3,
    })
}

/// The verdicts on these means in milliseconds, of a hundred requests each.
fn verdicts(millis: &[f64]) -> Vec<Verdict> {
    let samples: Vec<_> = millis.iter().map(|&mean| sample(100, mean)).collect();
    judge(&samples, &|_| false, Scatter::default(), &settings())
}

/// Which of them are slow.
fn slow(millis: &[f64]) -> Vec<usize> {
    let verdicts = verdicts(millis);
    (0..millis.len())
        .filter(|&index| matches!(verdicts[index], Verdict::Slow(_)))
        .collect()
}

#[test]
fn one_of_few_is_found() {
    assert_eq!(slow(&[10.0, 30.0]), [1]);
    assert_eq!(slow(&[10.0, 11.0, 30.0]), [2]);
    assert_eq!(slow(&[10.0, 11.0, 9.0, 30.0]), [3]);
    assert_eq!(slow(&[30.0, 10.0, 11.0, 9.0, 10.0]), [0]);
}

#[test]
fn two_slow_ones_do_not_hide_each_other() {
    assert_eq!(slow(&[30.0, 10.0, 11.0, 30.0, 9.0]), [0, 3]);
    assert_eq!(slow(&[30.0, 10.0, 300.0, 11.0, 9.0, 10.0]), [0, 2]);
}

#[test]
fn what_half_of_them_or_more_share_is_normal() {
    for millis in [
        &[100.0, 100.0] as &[f64],
        &[100.0, 100.0, 10.0],
        &[100.0, 110.0, 10.0, 11.0],
        &[100.0, 110.0, 105.0, 11.0, 9.0],
        &[100.0; 5],
    ] {
        assert_eq!(slow(millis), [0_usize; 0], "{millis:?}");
    }
}

#[test]
fn below_the_ratio_or_the_floor_nobody_is_slow() {
    assert_eq!(slow(&[10.0, 10.0, 14.9]), [0_usize; 0]);
    assert_eq!(slow(&[1.0, 1.0, 4.9]), [0_usize; 0]);
    assert_eq!(slow(&[1.0, 1.0, 5.1]), [2]);
}

#[test]
fn the_deviation_counts_where_peers_scatter() {
    assert_eq!(slow(&[6.0, 14.0, 8.0, 12.0, 17.0]), [0_usize; 0]);
    assert_eq!(slow(&[6.0, 14.0, 8.0, 12.0, 20.0]), [4]);
}

#[test]
fn the_only_one_has_nobody_to_be_compared_with() {
    assert_eq!(verdicts(&[100.0]), [Verdict::Unknown]);
    assert!(judge(&[], &|_| false, Scatter::default(), &settings()).is_empty());
}

#[test]
fn too_few_requests_say_nothing() {
    let samples = [
        sample(100, 10.0),
        sample(19, 100.0),
        None,
        sample(100, 10.0),
    ];
    let verdicts = judge(&samples, &|_| false, Scatter::default(), &settings());
    let (normal, unknown) = (Verdict::Normal, Verdict::Unknown);
    assert_eq!(verdicts, [normal, unknown, unknown, normal]);
}

#[test]
fn a_suspect_is_judged_by_less_and_is_nobodys_peer() {
    let suspect = |index| index == 1;
    let judge = |requests, millis| {
        let samples = [sample(100, 10.0), sample(requests, millis)];
        judge(&samples, &suspect, Scatter::default(), &settings())
    };
    assert_eq!(judge(4, 100.0), [Verdict::Unknown, Verdict::Unknown]);
    assert!(matches!(judge(5, 100.0)[1], Verdict::Slow(_)));
    assert_eq!(judge(5, 10.0)[1], Verdict::Normal);
    assert_eq!(judge(1_000, 1.0)[0], Verdict::Unknown);
}

#[test]
fn the_evidence_reads_as_a_sentence() {
    let Verdict::Slow(evidence) = verdicts(&[102.0, 5.0, 5.0])[0] else {
        panic!("it is not slow");
    };
    assert_eq!(
        evidence.to_string(),
        "mean of 100 requests 102 ms, 20.4 x its peers' median of 5.00 ms, limit 7.50 ms"
    );
    assert_eq!(Micros(812.4).to_string(), "812 us");
    assert_eq!(Micros(12_345.0).to_string(), "12.3 ms");
    assert_eq!(Micros(2_500_000.0).to_string(), "2.50 s");
}

const SLOW: Verdict = Verdict::Slow(Evidence {
    requests: 1_000,
    peers_requests: 1_000,
    mean: 100e3,
    peers_median: 5e3,
    limit: 7.5e3,
});

/// What a window with so many requests of a suspect and this verdict leads to.
fn step(course: &mut Course, requests: u32, verdict: Verdict, settings: &config::Outlier) -> Step {
    course.gather(sample(requests, 100.0));
    course.window(verdict, settings)
}

#[test]
fn the_share_is_cut_before_the_backend_is_ejected() {
    let settings = settings();
    let mut course = Course::default();
    let cut = |step| match step {
        Step::Cut(share, _) => share,
        other => panic!("{other:?}"),
    };
    assert!((cut(step(&mut course, 1_000, SLOW, &settings)) - 0.05).abs() < 1e-6);
    assert!((cut(step(&mut course, 50, SLOW, &settings)) - 0.01).abs() < 1e-6);
    for _ in 0..3 {
        let step = step(&mut course, 10, SLOW, &settings);
        assert!(matches!(step, Step::Eject(_)), "{step:?}");
    }
}

#[test]
fn a_cut_leaves_what_the_next_judgement_needs() {
    let few = Evidence {
        requests: 20,
        peers_requests: 20,
        mean: 100e3,
        peers_median: 5e3,
        limit: 7.5e3,
    };
    let mut course = Course::default();
    let step = course.window(Verdict::Slow(few), &settings());
    assert_eq!(step, Step::Cut(0.5, few));
}

#[test]
fn a_normal_window_clears() {
    let settings = settings();
    let mut course = Course::default();
    step(&mut course, 1_000, SLOW, &settings);
    step(&mut course, 50, SLOW, &settings);
    assert_eq!(
        step(&mut course, 10, Verdict::Normal, &settings),
        Step::Clear
    );
    assert!(!course.is_suspect());
    assert_eq!(
        step(&mut course, 1_000, Verdict::Normal, &settings),
        Step::Nothing
    );
    let step = step(&mut course, 1_000, SLOW, &settings);
    assert!(matches!(step, Step::Cut(..)), "{step:?}");
}

#[test]
fn a_suspicion_that_nothing_feeds_ends() {
    let settings = settings();
    let mut course = Course::default();
    step(&mut course, 1_000, SLOW, &settings);
    for _ in 1..PATIENCE {
        assert_eq!(
            step(&mut course, 0, Verdict::Unknown, &settings),
            Step::Nothing
        );
        assert!(course.is_suspect());
    }
    assert_eq!(
        step(&mut course, 0, Verdict::Unknown, &settings),
        Step::Clear
    );
}

#[test]
fn what_does_not_suffice_is_kept_until_it_does() {
    let settings = settings();
    let mut course = Course::default();
    step(&mut course, 1_000, SLOW, &settings);
    for window in 1..5 {
        let gathered = course.gather(sample(1, 10.0 * f64::from(window)));
        assert_eq!(gathered.map(|sample| sample.requests), Some(window));
        assert_eq!(course.window(Verdict::Unknown, &settings), Step::Nothing);
    }
    assert_eq!(course.gather(sample(1, 50.0)), sample(5, 30.0));
    course.window(SLOW, &settings);
    assert_eq!(course.gather(sample(2, 10.0)), sample(2, 10.0));
}

#[test]
fn observing_reports_once_and_changes_nothing() {
    let settings = config::Outlier {
        enforce: false,
        ..settings()
    };
    let mut course = Course::default();
    let mut reports = 0;
    for _ in 0..10 {
        match step(&mut course, 1_000, SLOW, &settings) {
            Step::Report(_) => reports += 1,
            step => assert_eq!(step, Step::Nothing),
        }
    }
    assert_eq!(reports, 1);
    assert_eq!(
        step(&mut course, 1_000, Verdict::Normal, &settings),
        Step::Nothing
    );
    for _ in 0..settings.windows {
        if let Step::Report(_) = step(&mut course, 1_000, SLOW, &settings) {
            reports += 1;
        }
    }
    assert_eq!(reports, 2);
}

/// What the noise is in.
#[derive(Clone, Copy, Debug)]
enum Noise {
    /// 10 % of every window's mean, whatever the number of requests.
    Windows,
    /// Log-normal in every request, so that it is 10 % in the mean of [`REQUESTS`] and more in fewer.
    Requests,
    /// One request in twenty takes twenty times longer than the others.
    Rare,
}

/// Backends, their courses, and the requests that they share.
struct Fleet {
    millis: Vec<f64>,
    courses: Vec<Course>,
    shares: Vec<f64>,
    noise: Noise,
    draws: Draws,
    settings: config::Outlier,
}

impl Fleet {
    fn new(millis: &[f64], noise: Noise, seed: u64) -> Self {
        Self {
            millis: millis.to_vec(),
            courses: vec![Course::default(); millis.len()],
            shares: vec![1.0; millis.len()],
            noise,
            draws: Draws::new(seed),
            settings: settings(),
        }
    }

    fn unit(&mut self) -> f64 {
        ((self.draws.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.unit().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    fn mean(&mut self, requests: u32) -> f64 {
        match self.noise {
            Noise::Windows => 1.0 + 0.1 * self.normal(),
            Noise::Requests => {
                // Of variance 0.2 = 20 x 0.1^2, and of mean 1.
                let sigma = 1.2_f64.ln().sqrt();
                let sum: f64 = (0..requests)
                    .map(|_| (sigma * self.normal() - sigma * sigma / 2.0).exp())
                    .sum();
                sum / f64::from(requests)
            }
            Noise::Rare => {
                let rare = (0..requests).filter(|_| self.draws.below(20) == 0).count();
                (1.0 + 19.0 * rare as f64 / f64::from(requests)) / 1.95
            }
        }
    }

    /// Those with their full share get just as many each, one whose share is cut gets what chance
    /// gives it (Poisson).
    fn requests(&mut self, index: usize) -> u32 {
        let expected = f64::from(REQUESTS) * self.shares[index];
        if self.shares[index] >= 1.0 {
            return REQUESTS;
        }
        let (mut count, mut product) = (0, self.unit());
        while product > (-expected).exp() {
            count += 1;
            product *= self.unit();
        }
        count
    }

    /// One window; what it leads to for each.
    fn window(&mut self) -> Vec<Step> {
        let mut samples = Vec::new();
        for index in 0..self.millis.len() {
            let requests = self.requests(index);
            let mean = self.millis[index] * self.mean(requests.max(1));
            samples.push(self.courses[index].gather(sample(requests, mean)));
        }
        let suspects: Vec<bool> = self.courses.iter().map(Course::is_suspect).collect();
        let scatters = self.courses.iter().map(Course::scatter);
        let scatter = Scatter::usual(scatters).unwrap();
        let verdicts = judge(&samples, &|index| suspects[index], scatter, &self.settings);
        let mut steps = Vec::new();
        for (index, verdict) in verdicts.into_iter().enumerate() {
            let step = self.courses[index].window(verdict, &self.settings);
            match step {
                Step::Cut(share, _) => self.shares[index] = f64::from(share),
                Step::Clear => self.shares[index] = 1.0,
                _ => {}
            }
            steps.push(step);
        }
        steps
    }

    /// The windows until one is ejected, and which.
    fn ejected_within(&mut self, windows: u32) -> Option<usize> {
        (0..windows).find_map(|_| {
            self.window()
                .iter()
                .position(|step| matches!(step, Step::Eject(_)))
        })
    }
}

#[test]
fn one_three_times_slower_is_ejected_in_time() {
    let runs = 500;
    for noise in [Noise::Windows, Noise::Requests] {
        for backends in 2..=5 {
            let mut millis = vec![10.0; backends];
            millis[0] = 30.0;
            let detected = (0..runs)
                .filter(|&seed| {
                    let mut fleet = Fleet::new(&millis, noise, seed);
                    let windows = fleet.settings.windows + 1;
                    fleet.ejected_within(windows) == Some(0)
                })
                .count() as u64;
            assert!(
                detected * 100 >= runs * 99,
                "{detected} of {runs} with {backends} backends, noise in {noise:?}"
            );
        }
    }
}

/// False ejections are too rare to be counted, but not the steps that lead to one: how often a
/// window makes a suspect of a healthy backend, and how often the window of a healthy suspect is
/// slow once more. Noise in successive windows is independent, so the product is the rate.
#[test]
fn healthy_backends_are_left_alone() {
    let windows = 20_000;
    for noise in [Noise::Windows, Noise::Requests] {
        for backends in 3..=5 {
            let mut fleet = Fleet::new(&vec![10.0; backends], noise, 7);
            let mut suspected = 0;
            for _ in 0..windows {
                fleet.courses.fill(Course::default());
                fleet.shares.fill(1.0);
                fleet.window();
                suspected += fleet.courses.iter().filter(|c| c.is_suspect()).count();
            }
            let (mut again, mut judged) = (0, 0);
            for _ in 0..windows / 4 {
                fleet.courses.fill(Course::default());
                fleet.shares.fill(1.0);
                let few = Evidence {
                    requests: REQUESTS,
                    peers_requests: REQUESTS,
                    mean: 16e3,
                    peers_median: 10e3,
                    limit: 15e3,
                };
                fleet.courses[0].window(Verdict::Slow(few), &fleet.settings);
                fleet.shares[0] = 0.5;
                match fleet.window()[0] {
                    Step::Cut(..) => (again, judged) = (again + 1, judged + 1),
                    Step::Clear => judged += 1,
                    _ => {}
                }
            }
            // One more than was seen of each, so that none seen does not mean none.
            let per_window = (suspected + 1) as f64 / f64::from(windows);
            let once_more = f64::from(again + 1) / f64::from(judged);
            let per_hour = per_window * HOUR * once_more.powi(2);
            assert!(
                per_hour < 0.001,
                "{per_hour} ejections per hour with {backends} backends, noise in {noise:?}: \
                 {suspected} suspected, {again} of {judged} once more"
            );
        }
    }
}

#[test]
fn in_ten_hours_nobody_healthy_is_ejected() {
    for backends in 3..=5 {
        let mut fleet = Fleet::new(&vec![10.0; backends], Noise::Windows, 11);
        assert_eq!(fleet.ejected_within(18_000), None);
    }
}

/// Here the ratio alone would suspect somebody every few windows.
#[test]
fn rare_slow_requests_eject_nobody() {
    for backends in 2..=5 {
        let mut fleet = Fleet::new(&vec![20.0; backends], Noise::Rare, 13);
        assert_eq!(fleet.ejected_within(1_800), None, "{backends} backends");
    }
}

#[test]
fn all_slow_together_are_none() {
    for noise in [Noise::Windows, Noise::Requests] {
        for backends in 2..=5 {
            let mut fleet = Fleet::new(&vec![10.0; backends], noise, 3);
            assert_eq!(fleet.ejected_within(20), None);
            fleet.millis.fill(100.0);
            assert_eq!(fleet.ejected_within(200), None);
        }
    }
}

#[test]
fn slowness_that_spreads_leaves_nobody_out() {
    let mut fleet = Fleet::new(&[10.0; 3], Noise::Windows, 5);
    for slow in 0..3 {
        fleet.millis[slow] = 100.0;
        assert_eq!(fleet.ejected_within(1), None);
    }
    assert_eq!(fleet.ejected_within(200), None);
    assert!(fleet.courses.iter().all(|course| !course.is_suspect()));
    assert!(fleet.shares.iter().all(|&share| share >= 1.0));
}

#[test]
fn a_recovered_suspect_gets_its_share_back() {
    let mut fleet = Fleet::new(&[10.0, 10.0, 100.0], Noise::Requests, 9);
    fleet.window();
    assert!(fleet.shares[2] < 1.0);
    fleet.millis[2] = 10.0;
    fleet.window();
    fleet.window();
    assert!(fleet.shares[2] >= 1.0);
}
