package dev.zeusd.cli;

import java.util.Collection;
import java.util.Comparator;
import java.util.Optional;

/** What somebody may have meant. */
final class Similar {
  private Similar() {}

  /** The candidate that takes the fewest changes of letters, if these are few. */
  static Optional<String> to(String word, Collection<String> candidates) {
    String plain = plain(word);
    return candidates.stream()
        .min(Comparator.comparingInt(candidate -> distance(plain, plain(candidate))))
        .filter(best -> distance(plain, plain(best)) <= Math.max(1, word.length() / 3));
  }

  private static String plain(String word) {
    return word.toLowerCase(java.util.Locale.ROOT).replace('_', '-');
  }

  /** How many letters have to be put in, taken away or replaced (Levenshtein). */
  private static int distance(String from, String to) {
    int[] row = new int[to.length() + 1];
    for (int column = 0; column < row.length; column++) {
      row[column] = column;
    }
    for (int i = 0; i < from.length(); i++) {
      int diagonal = row[0];
      row[0] = i + 1;
      for (int j = 0; j < to.length(); j++) {
        int replaced = diagonal + (from.charAt(i) == to.charAt(j) ? 0 : 1);
        diagonal = row[j + 1];
        row[j + 1] = Math.min(replaced, 1 + Math.min(row[j], row[j + 1]));
      }
    }
    return row[to.length()];
  }
}
