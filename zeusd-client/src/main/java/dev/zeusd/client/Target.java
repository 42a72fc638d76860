package dev.zeusd.client;

import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.stream.Collectors;

/** A path and its query. */
record Target(String text) {
  /** A path without parameters. */
  static Target of(String path) {
    return new Target(path);
  }

  Target with(String name, Object value) {
    String encoded = URLEncoder.encode(value.toString(), StandardCharsets.UTF_8);
    return new Target(text + (text.indexOf('?') < 0 ? '?' : '&') + name + '=' + encoded);
  }

  /** With the ids of devices; left out if there are none, which means all. */
  Target withIds(String name, Collection<Integer> ids) {
    return ids.isEmpty() ? this : with(name, list(ids));
  }

  private static String list(Collection<?> items) {
    return items.stream().map(Object::toString).collect(Collectors.joining(","));
  }

  /** What the devices of an error are called. */
  String deviceKind() {
    return text.startsWith("/cpu/") ? "CPU" : "GPU";
  }
}
