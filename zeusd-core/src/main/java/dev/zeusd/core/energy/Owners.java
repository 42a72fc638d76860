package dev.zeusd.core.energy;

import java.util.Collection;
import java.util.Comparator;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Who has how many windows.
 *
 * @param counts by owner; none is 0
 */
record Owners(Map<String, Integer> counts) {
  private static final int NAMED = 3;

  static Owners of(Collection<EnergyWindow> windows) {
    Map<String, Integer> counts = new TreeMap<>();
    windows.forEach(window -> counts.merge(window.owner(), 1, Integer::sum));
    return new Owners(counts);
  }

  int of(String owner) {
    return counts.getOrDefault(owner, 0);
  }

  /** Of how many places of {@code all} an owner is sure: as if one more came. */
  int share(int all, String owner) {
    int others = counts.size() - (counts.containsKey(owner) ? 1 : 0);
    return all / (others + 2);
  }

  /** The first of these windows that is of whoever has the most. */
  EnergyWindow firstOfMost(Collection<EnergyWindow> windows) {
    String owner = byNumber().findFirst().orElseThrow().getKey();
    return windows.stream()
        .filter(window -> window.owner().equals(owner))
        .findFirst()
        .orElseThrow();
  }

  private Stream<Map.Entry<String, Integer>> byNumber() {
    return counts.entrySet().stream().sorted(Map.Entry.comparingByValue(Comparator.reverseOrder()));
  }

  /** Those with the most, for people. */
  @Override
  public String toString() {
    String named =
        byNumber()
            .limit(NAMED)
            .map(owner -> owner.getKey() + " has " + owner.getValue())
            .collect(Collectors.joining(", "));
    int others = counts.size() - NAMED;
    return others > 0 ? named + ", and " + others + " others fewer or as many" : named;
  }
}
