package dev.zeusd.server;

import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * What web pages may do, and by which names this daemon is called: where no key tells friends from
 * strangers, a page of any site can send requests through its reader's browser.
 *
 * @param hosts names, beside addresses and {@code localhost}, that a request may be sent to
 * @param origins of pages that may send requests and read the answers
 */
public record WebAccess(Set<String> hosts, Set<String> origins) {
  private static final Pattern HOST_NAME =
      Pattern.compile("[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\\.?");
  private static final Pattern IPV4 = Pattern.compile("\\d{1,3}(\\.\\d{1,3}){3}");
  private static final Pattern IPV6 = Pattern.compile("\\[[0-9a-f:.]*:[0-9a-f:.]*](:\\d*)?");
  private static final Pattern ORIGIN =
      Pattern.compile(
          "(?<scheme>[a-z][a-z0-9+.-]*)://(?<host>\\[[0-9a-f:.]+]|[^\\[\\]:/?#@\\s,]+)"
              + "(:(?<port>\\d{1,5}))?");

  /** Nothing beyond what is always allowed. */
  public static final WebAccess NONE = new WebAccess(Set.of(), Set.of());

  /**
   * Brings them into the form in which they are compared.
   *
   * @throws IllegalArgumentException for what is not a host name, or not an origin
   */
  public WebAccess {
    hosts = hosts.stream().map(WebAccess::knownHost).collect(Collectors.toUnmodifiableSet());
    origins = origins.stream().map(WebAccess::knownOrigin).collect(Collectors.toUnmodifiableSet());
  }

  private static String knownHost(String text) {
    String host = text.toLowerCase(Locale.ROOT);
    if (!HOST_NAME.matcher(host).matches()) {
      throw new IllegalArgumentException(
          "'" + text + "' is not a host name, such as gpu01.example, without scheme and port");
    }
    return withoutDot(host);
  }

  private static String knownOrigin(String text) {
    return origin(text)
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "'"
                        + text
                        + "' is not an origin, such as https://dashboard.example:3000, without a"
                        + " path"));
  }

  /** The same name: DNS ends every name with a dot, which is mostly left out. */
  private static String withoutDot(String host) {
    return host.endsWith(".") ? host.substring(0, host.length() - 1) : host;
  }

  /** An origin in the form in which browsers send it; empty for what is none, such as "null". */
  static Optional<String> origin(String text) {
    Matcher origin = ORIGIN.matcher(text.toLowerCase(Locale.ROOT));
    if (!origin.matches()) {
      return Optional.empty();
    }
    String scheme = origin.group("scheme");
    String port = origin.group("port");
    boolean isDefaultPort =
        port == null
            || scheme.equals("http") && Integer.parseInt(port) == 80
            || scheme.equals("https") && Integer.parseInt(port) == 443;
    String start = scheme + "://" + origin.group("host");
    return Optional.of(isDefaultPort ? start : start + ":" + Integer.parseInt(port));
  }

  /**
   * {@return whether these pages may send requests and read the answers}
   *
   * @param origin what a browser says in its header {@code Origin}
   */
  public boolean allowsOrigin(String origin) {
    return !origins.isEmpty() && origin(origin).filter(origins::contains).isPresent();
  }

  /**
   * {@return whether two origins are the same}
   *
   * @param origin what a browser says in its header {@code Origin}
   * @param own scheme and {@code Host} of a request
   */
  public static boolean isSameOrigin(String origin, String own) {
    Optional<String> known = origin(own);
    return known.isPresent() && known.equals(origin(origin));
  }

  /**
   * {@return whether a {@code Host} header shows a name that nobody else can have: anybody can let
   * a name of their own point to this machine, and then its pages are of the same origin as this
   * daemon}
   *
   * @param hostHeader the header {@code Host}
   */
  public boolean allowsHost(String hostHeader) {
    String host = hostHeader.toLowerCase(Locale.ROOT);
    int colon = host.lastIndexOf(':');
    if (host.startsWith("[")) {
      return IPV6.matcher(host).matches();
    }
    String name = withoutDot(colon < 0 ? host : host.substring(0, colon));
    return name.equals("localhost") || isIpv4(name) || hosts.contains(name);
  }

  private static boolean isIpv4(String name) {
    if (!IPV4.matcher(name).matches()) {
      return false;
    }
    for (String part : name.split("\\.")) {
      if (Integer.parseInt(part) > 255) {
        return false;
      }
    }
    return true;
  }
}
