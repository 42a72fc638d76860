package dev.zeusd.client;

import java.security.cert.CertPathBuilderException;
import java.security.cert.CertificateException;
import java.security.cert.CertificateExpiredException;
import java.security.cert.CertificateNotYetValidException;
import java.util.Locale;
import javax.net.ssl.SSLException;

/** Why a connection with TLS failed, in words that say who has to change what. */
final class TlsTrouble {
  private TlsTrouble() {}

  static String inWords(SSLException e, String host) {
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      switch (cause) {
        case CertificateExpiredException _ -> {
          return "its certificate has expired; whoever runs it has to renew it";
        }
        case CertificateNotYetValidException _ -> {
          return "its certificate is not valid yet; one of the two machines' clocks may be wrong";
        }
        case CertPathBuilderException _ -> {
          return "its certificate is from an authority that is not trusted here; name that one"
              + " with --tls-ca, or in TlsFiles";
        }
        case CertificateException named when isAboutNames(named) -> {
          return "its certificate is not for the name '"
              + host
              + "'; connect to a name that the certificate has, or have it issued for this one";
        }
        default -> {
          // What caused it may say more.
        }
      }
    }
    return byMessage(String.valueOf(e.getMessage()));
  }

  /**
   * After the handshake: the daemon looks at this client's certificate then, and its alert may be
   * lost together with the connection.
   */
  static String afterwards(String why) {
    return "the connection was closed ("
        + why
        + "); a daemon that asks for certificates does so where a client's is missing or not"
        + " trusted: name one with --tls-cert and --tls-key, or in TlsFiles";
  }

  private static boolean isAboutNames(Throwable e) {
    String message = String.valueOf(e.getMessage());
    return message.startsWith("No subject alternative") || message.startsWith("No name matching");
  }

  /** As the other end's alerts are told by the JDK, by their names in the standard. */
  private static String byMessage(String message) {
    String alert = message.toLowerCase(Locale.ROOT);
    if (alert.contains("unrecognized ssl message") || alert.contains("unsupported or")) {
      return "what listens there speaks no TLS; leave out https://";
    }
    if (alert.contains("certificate_required") || alert.contains("bad_certificate")) {
      return "it asks for a certificate of this client; name one with --tls-cert and --tls-key, or"
          + " in TlsFiles";
    }
    if (alert.contains("received fatal alert")
        && (alert.contains("unknown_ca") || alert.contains("certificate_"))) {
      return "it refuses this client's certificate, which may have expired, or be from an authority"
          + " that it does not trust ("
          + message
          + ")";
    }
    return "TLS failed: " + message;
  }
}
