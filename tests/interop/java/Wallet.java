// A wallet on other people's Java libraries: Connect2id's OAuth SDK and JOSE library (com.nimbusds), Authlete's SD-JWT
// (com.authlete), and the JDK's own certification paths. Reads tasks from standard input, one JSON object a line (`do`
// names the step), and answers each with a line: {done: …} or {failed: message, error, status: the refusal that it met}.
import com.authlete.sd.Disclosure;
import com.authlete.sd.SDJWT;
import com.authlete.sd.SDObjectDecoder;
import com.nimbusds.jose.*;
import com.nimbusds.jose.crypto.*;
import com.nimbusds.jose.jwk.*;
import com.nimbusds.jose.jwk.gen.ECKeyGenerator;
import com.nimbusds.jose.util.Base64;
import com.nimbusds.jose.util.Base64URL;
import com.nimbusds.jose.util.JSONObjectUtils;
import com.nimbusds.jose.util.X509CertUtils;
import com.nimbusds.jwt.*;
import com.nimbusds.oauth2.sdk.*;
import com.nimbusds.oauth2.sdk.as.AuthorizationServerMetadata;
import com.nimbusds.oauth2.sdk.dpop.DefaultDPoPProofFactory;
import com.nimbusds.oauth2.sdk.http.HTTPRequest;
import com.nimbusds.oauth2.sdk.http.HTTPResponse;
import com.nimbusds.oauth2.sdk.id.*;
import com.nimbusds.oauth2.sdk.pkce.*;
import com.nimbusds.oauth2.sdk.token.AccessToken;
import com.nimbusds.oauth2.sdk.util.URLUtils;
import java.io.*;
import java.net.*;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.cert.*;
import java.security.interfaces.ECPublicKey;
import java.util.*;

public class Wallet {
    static final URI BACK = URI.create("https://wallet.example/callback");

    static class Refused extends Exception {
        final String error;
        final int status;

        Refused(HTTPResponse answer) {
            super("refused with " + answer.getStatusCode() + ": " + answer.getBody());
            status = answer.getStatusCode();
            Object said = null;
            try {
                said = JSONObjectUtils.parse(answer.getBody()).get("error");
            } catch (Exception notJson) {
                // then there is none
            }
            error = said == null ? null : said.toString();
        }
    }

    public static void main(String[] arguments) throws Exception {
        Wallet wallet = new Wallet();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        for (String line; (line = in.readLine()) != null; ) {
            Map<String, Object> task = JSONObjectUtils.parse(line);
            Map<String, Object> answer = new LinkedHashMap<>();
            try {
                answer.put("done", switch (text(task, "do")) {
                    case "authorize" -> wallet.authorize(task);
                    case "collect" -> wallet.collect(task);
                    case "present" -> wallet.present(task);
                    default -> throw new IllegalArgumentException("no such step");
                });
            } catch (Refused refused) {
                answer.putAll(Map.of("failed", refused.getMessage(), "status", refused.status));
                answer.put("error", refused.error);
            } catch (Exception wrong) {
                answer.put("failed", wrong.toString());
            }
            out.println(JSONObjectUtils.toJSONString(answer));
        }
    }

    private Map<String, Object> client;
    private Map<String, Object> issuer;
    private AuthorizationServerMetadata server;
    private DefaultDPoPProofFactory dpop;
    private final CodeVerifier verifier = new CodeVerifier();
    private State state;
    private final Map<String, Object> held = new HashMap<>();

    // the offer by reference → a pushed request → the address for the browser
    Map<String, Object> authorize(Map<String, Object> task) throws Exception {
        client = object(task, "client");
        dpop = new DefaultDPoPProofFactory(new ECKeyGenerator(Curve.P_256).generate(), JWSAlgorithm.ES256);
        Map<String, Object> offer = json(get(URI.create(text(task, "offer"))));
        URI id = URI.create(text(offer, "credential_issuer"));
        issuer = json(get(wellKnown(id, "openid-credential-issuer")));
        if (!issuer.get("credential_issuer").equals(id.toString())) throw new Exception("another issuer's metadata");
        // the SDK looks for the well-known part behind the path; RFC 8414 §3.1 puts it before
        URI metadata = wellKnown(id, "oauth-authorization-server");
        server = AuthorizationServerMetadata.parse(good(get(metadata)).getBody());
        if (!server.getIssuer().equals(new Issuer(id))) throw new Exception("another server's metadata");
        state = new State();
        ClientID clientId = new ClientID(text(client, "clientId"));
        String offered = text(object(object(offer, "grants"), "authorization_code"), "issuer_state");
        AuthorizationRequest asked = new AuthorizationRequest.Builder(ResponseType.CODE, clientId)
            .redirectionURI(BACK).state(state).scope(new Scope(text(task, "scope")))
            .codeChallenge(verifier, CodeChallengeMethod.S256)
            .customParameter("issuer_state", offered)
            .build();
        URI endpoint = server.getPushedAuthorizationRequestEndpointURI();
        HTTPRequest pushed = attested(new PushedAuthorizationRequest(endpoint, asked).toHTTPRequest());
        pushed.setDPoP(dpop.createDPoPJWT("POST", endpoint));
        URI reference = PushedAuthorizationSuccessResponse.parse(good(pushed.send())).getRequestURI();
        URI browser = new AuthorizationRequest.Builder(reference, clientId)
            .endpointURI(server.getAuthorizationEndpointURI()).build().toURI();
        return Map.of("url", browser.toString());
    }

    // where the browser came back → a token → a credential, verified
    Map<String, Object> collect(Map<String, Object> task) throws Exception {
        AuthorizationResponse back = AuthorizationResponse.parse(URI.create(text(task, "redirectedTo")));
        boolean isOurs = state.equals(back.getState()) && server.getIssuer().equals(back.getIssuer());
        if (!isOurs) throw new Exception("an answer to another request");
        AuthorizationCode code = back.toSuccessResponse().getAuthorizationCode();
        CodeVerifier shown = task.get("verifier") == null ? verifier : new CodeVerifier(text(task, "verifier"));
        AuthorizationCodeGrant grant = new AuthorizationCodeGrant(code, BACK, shown);
        ClientID clientId = new ClientID(text(client, "clientId"));
        TokenRequest wanted = new TokenRequest.Builder(server.getTokenEndpointURI(), clientId, grant).build();
        HTTPRequest request = attested(wanted.toHTTPRequest());
        request.setDPoP(dpop.createDPoPJWT("POST", server.getTokenEndpointURI()));
        AccessToken token = AccessTokenResponse.parse(good(request.send())).getTokens().getAccessToken();
        URI nonces = URI.create(text(issuer, "nonce_endpoint"));
        String nonce = text(json(post(nonces).send()), "c_nonce");
        ECKey holder = new ECKeyGenerator(Curve.P_256).generate();
        JWSHeader header = header("openid4vci-proof+jwt").jwk(holder.toPublicJWK()).build();
        String proof = signed(holder, header, new JWTClaimsSet.Builder()
            .issuer(text(client, "clientId")).audience(text(issuer, "credential_issuer"))
            .issueTime(new Date()).claim("nonce", nonce).build());
        URI endpoint = URI.create(text(issuer, "credential_endpoint"));
        HTTPRequest credential = post(endpoint);
        credential.setContentType("application/json");
        credential.setAuthorization(token.toAuthorizationHeader());
        credential.setDPoP(dpop.createDPoPJWT("POST", endpoint, token));
        credential.setBody(JSONObjectUtils.toJSONString(Map.of(
            "credential_configuration_id", text(task, "configuration"), "proofs", Map.of("jwt", List.of(proof)))));
        List<Object> issued = JSONObjectUtils.getJSONArray(json(good(credential.send())), "credentials");
        held.put("credential", ((Map<?, ?>) issued.get(0)).get("credential").toString());
        held.put("holder", holder);
        return Map.of("tokenType", token.getType().getValue(), "claims", checked(holder, texts(task, "anchors")));
    }

    private Map<String, Object> checked(ECKey holder, List<String> anchors) throws Exception {
        SDJWT credential = SDJWT.parse(held.get("credential").toString());
        SignedJWT jwt = SignedJWT.parse(credential.getCredentialJwt());
        if (!"dc+sd-jwt".equals(jwt.getHeader().getType().getType())) throw new Exception("not an SD-JWT VC");
        verify(jwt, anchors);
        Map<String, Object> payload = jwt.getPayload().toJSONObject();
        Map<String, Object> claims = new SDObjectDecoder().decode(payload, credential.getDisclosures());
        JWK bound = JWK.parse(object(object(claims, "cnf"), "jwk"));
        if (!bound.equals(holder.toPublicJWK())) throw new Exception("bound to another key");
        return claims;
    }

    // a link with a signed question for top-level claims of an SD-JWT VC → the answer, encrypted → what was said to it.
    // nonce, audience, anotherKey: other than right
    Map<String, Object> present(Map<String, Object> task) throws Exception {
        Map<String, List<String>> link = URLUtils.parseParameters(URI.create(text(task, "request")).getRawQuery());
        HTTPResponse fetched = good(get(URI.create(link.get("request_uri").get(0))));
        SignedJWT question = SignedJWT.parse(fetched.getBody());
        if (!"oauth-authz-req+jwt".equals(question.getHeader().getType().getType())) throw new Exception("typ");
        verify(question, texts(task, "anchors"));
        Map<String, Object> asked = question.getPayload().toJSONObject();
        byte[] leaf = question.getHeader().getX509CertChain().get(0).decode();
        String clientId = "x509_hash:" + Base64URL.encode(MessageDigest.getInstance("SHA-256").digest(leaf));
        if (!clientId.equals(asked.get("client_id")) || !clientId.equals(link.get("client_id").get(0)))
            throw new Exception("somebody else");
        Map<String, Object> query = JSONObjectUtils.getJSONObjectArray(object(asked, "dcql_query"), "credentials")[0];
        Set<Object> names = new HashSet<>();
        for (Map<String, Object> claim : JSONObjectUtils.getJSONObjectArray(query, "claims"))
            names.add(JSONObjectUtils.getJSONArray(claim, "path").get(0));
        SDJWT whole = SDJWT.parse(held.get("credential").toString());
        List<Disclosure> chosen = new ArrayList<>(whole.getDisclosures());
        chosen.removeIf(each -> !names.contains(each.getClaimName()));
        SDJWT shown = new SDJWT(whole.getCredentialJwt(), chosen);
        ECKey holder = (ECKey) held.get("holder");
        if (task.get("anotherKey") != null) holder = new ECKeyGenerator(Curve.P_256).generate();
        String binding = signed(holder, header("kb+jwt").build(),
            new JWTClaimsSet.Builder().issueTime(new Date())
                .audience((String) task.getOrDefault("audience", clientId))
                .claim("nonce", task.getOrDefault("nonce", asked.get("nonce")))
                .claim("sd_hash", shown.getSDHash()).build());
        String presentation = new SDJWT(whole.getCredentialJwt(), chosen, binding).toString();
        JWK key = JWKSet.parse(object(object(asked, "client_metadata"), "jwks")).getKeys().get(0);
        JWEObject sealed = new JWEObject(
            new JWEHeader.Builder(JWEAlgorithm.ECDH_ES, EncryptionMethod.A256GCM).keyID(key.getKeyID()).build(),
            new Payload(Map.of(
                "vp_token", Map.of(text(query, "id"), List.of(presentation)), "state", asked.get("state"))));
        sealed.encrypt(new ECDHEncrypter(key.toECKey()));
        HTTPRequest answer = post(URI.create(text(asked, "response_uri")));
        answer.setContentType("application/x-www-form-urlencoded");
        answer.setBody("response=" + sealed.serialize());
        HTTPResponse said = answer.send();
        return Map.of("status", said.getStatusCode(), "body", JSONObjectUtils.parse(said.getBody()));
    }

    // draft-ietf-oauth-attestation-based-client-auth-07 §5: the provider's word, and a proof of the instance's key
    private HTTPRequest attested(HTTPRequest request) throws Exception {
        URI endpoint = URI.create(server.getCustomParameters().get("challenge_endpoint").toString());
        String challenge = text(json(post(endpoint).send()), "attestation_challenge");
        JWSHeader header = header("oauth-client-attestation-pop+jwt").build();
        request.setHeader("OAuth-Client-Attestation", text(client, "attestation"));
        request.setHeader("OAuth-Client-Attestation-PoP", signed(ECKey.parse(object(client, "instanceKey")), header,
            new JWTClaimsSet.Builder().issuer(text(client, "clientId")).audience(server.getIssuer().getValue())
                .jwtID(UUID.randomUUID().toString()).issueTime(new Date()).claim("challenge", challenge).build()));
        return request;
    }

    private static JWSHeader.Builder header(String type) {
        return new JWSHeader.Builder(JWSAlgorithm.ES256).type(new JOSEObjectType(type));
    }

    private static URI wellKnown(URI issuer, String name) {
        return issuer.resolve("/.well-known/" + name + issuer.getPath());
    }

    private static String signed(ECKey key, JWSHeader header, JWTClaimsSet claims) throws Exception {
        SignedJWT jwt = new SignedJWT(header, claims);
        jwt.sign(new ECDSASigner(key));
        return jwt.serialize();
    }

    // the signature by the first certificate of x5c, which leads to a root that is believed (RFC 5280 §6, by the JDK)
    private static void verify(SignedJWT jwt, List<String> anchors) throws Exception {
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        List<X509Certificate> chain = new ArrayList<>();
        for (Base64 der : jwt.getHeader().getX509CertChain()) chain.add(X509CertUtils.parse(der.decode()));
        Set<TrustAnchor> roots = new HashSet<>();
        for (String pem : anchors) roots.add(new TrustAnchor(X509CertUtils.parse(pem), null));
        PKIXParameters parameters = new PKIXParameters(roots);
        parameters.setRevocationEnabled(false);
        CertPathValidator.getInstance("PKIX").validate(factory.generateCertPath(chain), parameters);
        ECPublicKey key = (ECPublicKey) chain.get(0).getPublicKey();
        if (!jwt.verify(new ECDSAVerifier(key))) throw new Exception("a signature does not hold");
    }

    private static HTTPResponse get(URI address) throws IOException {
        return new HTTPRequest(HTTPRequest.Method.GET, address).send();
    }

    private static HTTPRequest post(URI address) {
        return new HTTPRequest(HTTPRequest.Method.POST, address);
    }

    private static HTTPResponse good(HTTPResponse answer) throws Refused {
        if (!answer.indicatesSuccess()) throw new Refused(answer);
        return answer;
    }

    private static Map<String, Object> json(HTTPResponse answer) throws Exception {
        return JSONObjectUtils.parse(good(answer).getBody());
    }

    private static String text(Map<String, Object> from, String name) throws Exception {
        return JSONObjectUtils.getString(from, name);
    }

    private static Map<String, Object> object(Map<String, Object> from, String name) throws Exception {
        return JSONObjectUtils.getJSONObject(from, name);
    }

    private static List<String> texts(Map<String, Object> from, String name) throws Exception {
        return JSONObjectUtils.getStringList(from, name);
    }
}
