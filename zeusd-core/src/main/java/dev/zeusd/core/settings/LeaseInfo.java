package dev.zeusd.core.settings;

import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * What there is to say about a lease.
 *
 * @param id empty for what a baseline asks for
 * @param holder who has it, or had it
 * @param process whose end is its own, if there is such a process
 * @param settings what it holds or, when it is pending, what is left to be put back
 * @param expiresInMs how long it lasts if it is not renewed or, while somebody keeps it, when that
 *     ends; in ms
 * @param state how it is
 * @param problems why settings could not be put back so far
 */
public record LeaseInfo(
    String id,
    String holder,
    Optional<ClientProcess.Id> process,
    List<Setting> settings,
    long expiresInMs,
    LeaseState state,
    SortedMap<Setting, String> problems) {
  /** Takes copies. */
  public LeaseInfo {
    settings = List.copyOf(settings);
    problems = new TreeMap<>(problems);
  }

  /** What there is to say about one that somebody has. */
  static LeaseInfo of(Lease lease) {
    return new LeaseInfo(
        lease.id(),
        lease.holder(),
        lease.process(),
        lease.settings(),
        lease.expiresInMs(),
        lease.term().state(),
        new TreeMap<>());
  }

  /**
   * About one that has left something to be put back.
   *
   * @param lease empty for a baseline
   */
  static LeaseInfo pending(Optional<Lease> lease, SortedMap<Setting, String> problems) {
    return new LeaseInfo(
        lease.map(Lease::id).orElse(""),
        lease.map(Lease::holder).orElse("baseline"),
        lease.flatMap(Lease::process),
        List.copyOf(problems.keySet()),
        0,
        LeaseState.PENDING,
        problems);
  }
}
