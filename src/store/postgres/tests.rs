//! The contract, with two handles open at once, and what is specific to PostgreSQL: unsuitable servers, and servers
//! that stop.

use super::cluster::Cluster;
use super::*;
use crate::clock::{SystemClock, SystemEntropy};
use crate::store::Store;
use crate::store::contract::{Harness, contract_tests};
use tempfile::TempDir;

pub(in crate::store) struct Database {
    cluster: &'static Cluster,
    name: String,
    folder: TempDir,
    /// The last store that was opened as `one`, and how many were opened.
    open: std::sync::Mutex<(Option<std::sync::Weak<dyn Store>>, u32)>,
}

impl Database {
    pub(in crate::store) fn new() -> Self {
        Self::of(Cluster::get())
    }

    /// A database of this server.
    pub(super) fn of(cluster: &'static Cluster) -> Self {
        Self {
            cluster,
            name: cluster.database(),
            folder: tempfile::tempdir().unwrap(),
            open: std::sync::Mutex::default(),
        }
    }

    pub(in crate::store) fn options(&self, node: &str) -> Options {
        Options {
            place: Place::parse(&self.cluster.url(&self.name), None).unwrap(),
            node: node.to_owned(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            on_fatal: Arc::new(|why| panic!("{why}")),
            journal_key: self.folder.path().join("journal-key"),
        }
    }

    /// The number that a statement returns.
    pub(super) fn sql(&self, text: &str) -> i64 {
        self.cluster.sql(&self.name, text).lines().next().unwrap().parse().unwrap()
    }

    fn open_as(&self, node: &str) -> Result<SqlStore, StoreError> {
        let options = self.options(node);
        std::thread::spawn(move || SqlStore::open_postgres(options)).join().unwrap()
    }
}

impl Harness for Database {
    fn open(&self) -> Arc<dyn Store> {
        let mut open = self.open.lock().unwrap();
        open.1 += 1;
        // A running node keeps its name; one that was closed is started again under it.
        let taken = open.0.as_ref().is_some_and(|open| open.strong_count() > 0);
        let name = if taken { format!("one, again {}", open.1) } else { "one".to_owned() };
        let store: Arc<dyn Store> = Arc::new(self.open_as(&name).unwrap());
        if !taken {
            open.0 = Some(Arc::downgrade(&store));
        }
        store
    }

    fn beside(&self, _: &Arc<dyn Store>) -> Arc<dyn Store> {
        Arc::new(self.open_as("two").unwrap())
    }
}

contract_tests! { Database::new();
    accepts_and_reads_back, accepts_many_at_once, one_refused_harms_no_other, bodies_come_back,
    orphans_are_swept, a_refused_message_leaves_no_body, finds_messages, own_mail_has_no_sender,
    purges_what_is_done, knowledge_outlives_a_restart_until_its_time,
    correspondents_are_those_reached, correspondents_are_forgotten_in_time, days_and_waits_are_counted, passkeys_are_their_owners, own_mail_is_found,
    claims_what_is_due, nobody_claims_twice, results_and_mail_come_at_once, a_fresh_delivery_is_claimed, stale_leases_are_fenced,
    recipients_part_ways, uncertain_is_flagged, recovers_after_a_crash, filters_the_queue,
    operators_change_the_queue, tells_what_was_spent, failed_is_retried_on_request, thousands_of_copies,
    holds_and_releases, one_of_many_decides, expires_no_sooner, stops_what_is_unsent,
    notices_are_answered_once, failures_are_reported, the_last_failure_is_reported_at_once,
    the_ledger_remembers, summarises,
    what_would_have_been_stands_apart, totals_never_fall, finds_by_subject,
    keeps_sessions, languages_are_kept, codes_are_good_once, tokens_have_names, links_are_used_once, lists_within_a_scope,
    absences_come_and_go, who_was_told_is_known, asked_as_is_is_found,
    asks_are_answered_once, digests_take_all_that_waits, untried_mail_is_noted, hooks_are_told,
    the_same_is_kept_once, what_failed_may_come_again, what_went_back_may_come_again, of_many_the_same_one_is_kept,
    transactions_are_one_item, an_item_is_decided_whole, taking_held_mail_back_is_undone,
    delayed_mail_is_taken_back, delayed_mail_goes_now_or_is_held, a_release_is_undone_before_it_leaves, an_undone_release_is_no_failure,
    an_undone_release_joins_what_waits, what_is_dropped_on_its_way_may_come_again_later,
    what_arrived_after_all_is_sent_again_marked,
    a_clock_that_was_set_back_leaves_no_held_mail_out,
    what_may_have_arrived_is_sent_again_marked,
    what_was_returned_in_between_is_sent_again_marked,
    circles_come_and_go, connections_read_after_a_rest, the_chain_holds,
    what_is_learned_counts_once, strangers_are_told_apart, people_are_forgotten, knowledge_has_its_time,
    two_nodes_claim_apart, a_lease_is_of_one_node, two_nodes_keep_the_same_once, two_nodes_make_one_item,
    what_one_node_changes_the_other_sees, two_nodes_tell_once, two_nodes_escalate_once,
    an_ended_circle_exempts_nowhere, two_nodes_look_after_it_at_once, two_nodes_call_once,
    a_rate_is_one_for_all_nodes, blocks_add_up_to_the_rate, a_budget_is_one_for_all_nodes,
    attempts_count_at_all_nodes, once_is_once_for_all_nodes, secrets_are_replaced_by_one, a_task_is_led_by_one,
    what_was_delivered_teaches, answers_are_those_of_a_plain_look, knowledge_is_shown,
    deputies_are_asked_about_what_waits,
}
