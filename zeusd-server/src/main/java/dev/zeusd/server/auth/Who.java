package dev.zeusd.server.auth;

import dev.zeusd.ffm.posix.Accounts;
import java.util.Objects;
import java.util.OptionalInt;
import javax.security.auth.x500.X500Principal;

/** Whom a grant is for. */
public sealed interface Who {
  /**
   * {@return whether a caller is one of them}
   *
   * @param caller who asks
   */
  boolean includes(Caller caller);

  /** {@return whether it can be anybody at all: a user or group by a name that the system knows} */
  default boolean isKnown() {
    return true;
  }

  /**
   * A user of this machine.
   *
   * @param name as it was given, or the number
   * @param uid empty for a name that the system does not know; then it is nobody
   */
  record User(String name, OptionalInt uid) implements Who {
    /** Refuses null. */
    public User {
      Objects.requireNonNull(name);
      Objects.requireNonNull(uid);
    }

    @Override
    public boolean includes(Caller caller) {
      return uid.isPresent() && caller.uid().equals(uid);
    }

    @Override
    public boolean isKnown() {
      return uid.isPresent();
    }

    @Override
    public String toString() {
      return "uid:" + name;
    }
  }

  /**
   * The members of a group of this machine.
   *
   * @param name as it was given, or the number
   * @param gid empty for a name that the system does not know; then it has no members
   */
  record Group(String name, OptionalInt gid) implements Who {
    /** Refuses null. */
    public Group {
      Objects.requireNonNull(name);
      Objects.requireNonNull(gid);
    }

    @Override
    public boolean includes(Caller caller) {
      return gid.isPresent() && caller.gids().contains(gid.getAsInt());
    }

    @Override
    public boolean isKnown() {
      return gid.isPresent();
    }

    @Override
    public String toString() {
      return "gid:" + name;
    }
  }

  /**
   * Whoever has a token of this subject.
   *
   * @param subject the token's {@code sub}
   */
  record TokenSubject(String subject) implements Who {
    /** Refuses null. */
    public TokenSubject {
      Objects.requireNonNull(subject);
    }

    @Override
    public boolean includes(Caller caller) {
      return caller.tokenSubject().filter(subject::equals).isPresent();
    }

    @Override
    public String toString() {
      return "token:" + subject;
    }
  }

  /**
   * Whoever has a certificate of this subject, issued by one of the authorities that the daemon
   * trusts.
   *
   * @param subject the whole of it; upper and lower case are the same, and so are spaces around
   *     commas
   */
  record CertificateSubject(X500Principal subject) implements Who {
    /** Refuses null. */
    public CertificateSubject {
      Objects.requireNonNull(subject);
    }

    @Override
    public boolean includes(Caller caller) {
      return caller.certificateSubject().filter(subject::equals).isPresent();
    }

    @Override
    public String toString() {
      return "cert:" + subject.getName();
    }
  }

  /**
   * From its text: {@code uid:alice}, {@code uid:1000}, {@code gid:gpu-users}, {@code token:alice},
   * {@code cert:CN=alice,O=acme}. Names of users and groups are looked up now.
   *
   * @param text such as {@code uid:alice} or {@code token:alice}
   * @return who that is
   * @throws IllegalArgumentException for anything else, saying what would be right
   */
  static Who parse(String text) {
    int colon = text.indexOf(':');
    String kind = colon < 0 ? "" : text.substring(0, colon);
    String name = text.substring(colon + 1);
    if (name.isBlank() || !name.equals(name.strip())) {
      throw notOne(text);
    }
    return switch (kind) {
      case "uid" -> new User(name, number(name).isPresent() ? number(name) : Accounts.uid(name));
      case "gid" -> new Group(name, number(name).isPresent() ? number(name) : Accounts.gid(name));
      case "token" -> new TokenSubject(name);
      case "cert" -> new CertificateSubject(subject(name));
      default -> throw notOne(text);
    };
  }

  private static X500Principal subject(String name) {
    try {
      return new X500Principal(name);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "'cert:"
              + name
              + "' is not a subject, such as cert:CN=alice,O=acme; openssl x509 -noout -subject"
              + " -nameopt RFC2253 -in FILE shows that of a certificate",
          e);
    }
  }

  private static OptionalInt number(String name) {
    // The last one means "no user" to the system.
    long limit = (1L << 32) - 1;
    boolean isNumber = name.matches("[0-9]{1,10}") && Long.parseLong(name) < limit;
    return isNumber ? OptionalInt.of((int) Long.parseLong(name)) : OptionalInt.empty();
  }

  private static IllegalArgumentException notOne(String text) {
    return new IllegalArgumentException(
        "'"
            + text
            + "' is not uid:NAME, gid:NAME, token:SUBJECT or cert:SUBJECT, such as uid:alice or"
            + " cert:CN=alice");
  }
}
