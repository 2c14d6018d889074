--- The version of edeliver-relup. CHANGELOG.md says what the number covers.
return "0.1.0"
