package dev.zeusd.client;

import java.util.Collection;
import java.util.Collections;
import java.util.EnumSet;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;

/**
 * The names that constants have in requests and answers: in lower case, words joined by {@code _}
 * or {@code -}. A newer daemon may use names that are unknown here.
 */
final class WireNames {
  private WireNames() {}

  static String of(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT);
  }

  static <E extends Enum<E>> Optional<E> find(Class<E> type, String wireName) {
    String name = wireName.replace('-', '_');
    for (E constant : type.getEnumConstants()) {
      if (of(constant).equals(name)) {
        return Optional.of(constant);
      }
    }
    return Optional.empty();
  }

  /** Those that are known here. */
  static <E extends Enum<E>> Set<E> findAll(Class<E> type, Collection<String> wireNames) {
    Set<E> found = EnumSet.noneOf(type);
    wireNames.forEach(name -> find(type, name).ifPresent(found::add));
    return Collections.unmodifiableSet(found);
  }
}
